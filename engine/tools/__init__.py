"""Tools of the chat: built-in ones, and those of MCP servers."""

from .arguments import misfit
from .base import BoundTool, CallContext, ToolGroup, ToolOutcome
from .files import Collections
from .running import run_tool
from .toolbox import HARMLESS, Toolbox

__all__ = ["BoundTool", "CallContext", "Collections", "HARMLESS", "ToolGroup", "ToolOutcome", "Toolbox", "misfit", "run_tool"]
