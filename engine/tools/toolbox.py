"""The tools that the chat offers: built-in ones, and those of MCP servers that the operator configured."""

from __future__ import annotations

from collections.abc import Sequence

from ..background import StopSignal
from ..settings import Settings
from ..tool_calls import MAX_TOOLS, MAX_TOOLS_CHARS
from . import calculator, clock, files, python
from .base import BoundTool, ToolGroup
from .files import Collections
from .mcp_servers import McpServers

LEFT_OUT = "{count} tools are left out: one reply cannot have more."
HARMLESS = (calculator.GROUP, clock.GROUP)      # they compute something from their arguments alone: on by default


class Toolbox:
    """Safe to use from many threads. A process has one. Raises InvalidRequest for a file of servers that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self.servers = McpServers.of(settings)
        self._builtin = {tool.group: tool for tool in (calculator.calculator_tool(), clock.clock_tool(), python.python_tool())}

    def search_files(self, collections: Collections) -> None:
        """Offer the tool that searches files, in these collections. Called once, before the first reply."""
        tool = files.files_tool(collections)
        self._builtin = {**self._builtin, tool.group: tool}

    @property
    def groups(self) -> tuple[ToolGroup, ...]:
        """The entries of the list of tools. A server has one, whatever tools it offers."""
        builtin = (ToolGroup(name, is_default=name in HARMLESS) for name in self._builtin)
        return (*builtin, *self.servers.groups)

    def known(self, groups: Sequence[str]) -> tuple[BoundTool, ...]:
        """The tools of these entries that are known without asking a server. Does not block."""
        return self._together(groups, self.servers.known(groups))

    def open(self, groups: Sequence[str], stop: StopSignal) -> tuple[tuple[BoundTool, ...], tuple[str, ...]]:
        """The tools of these entries, and a sentence for each server that could not be reached. Blocks while servers are started."""
        found, problems = self.servers.open(groups, stop)
        tools = self._together(groups, found)
        left_out = len(found) - sum(tool.group in groups and tool.group not in self._builtin for tool in tools)
        return tools, (*problems, LEFT_OUT.format(count=left_out)) if left_out else problems

    def _together(self, groups: Sequence[str], others: Sequence[BoundTool]) -> tuple[BoundTool, ...]:
        """As many as one request may have; of two with one name, the first."""
        tools: dict[str, BoundTool] = {}
        left = MAX_TOOLS_CHARS
        for tool in (*(tool for name, tool in self._builtin.items() if name in groups), *others):
            size = len(tool.definition.description) + len(tool.definition.parameters)
            if len(tools) < MAX_TOOLS and size <= left and tool.name not in tools:
                tools[tool.name] = tool
                left -= size
        return tuple(tools.values())

    def close(self) -> None:
        """End the servers that were started. For the end of the process."""
        self.servers.close()
