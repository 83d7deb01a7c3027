"""MindCubes' engine: one loaded model that serves many conversations at once. It is independent of pages and HTTP.

    engine = Engine(Settings.from_env())
    for event in engine.load(ModelSpec("builtin")): ...
    for event in engine.chat([Message("user", "hi")]): ...

These are the names for programs; docs/python.md shows each group. The page uses the packages' own public names
(`engine.chat`, `engine.benchmark`, ...).
"""

# Settings and errors
from .errors import EngineError
from .settings import BUILTIN, Secret, Settings

# The loaded model
from .models.quantization import Quantization
from .models.spec import LoadEvent, LoadOptions, ModelSpec, Released
from .runtime.engine import Engine
from .runtime.status import Status

# Messages in, events out
from .messages import (
    Finished,
    GenerationOptions,
    Message,
    Prefill,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    Usage,
    Waiting,
)
from .tool_calls import Tool, ToolCall, ToolCallDelta

# Does it fit?
from .models.estimate import ModelFit, estimate_fit

# Saved conversations
from .chat.attachments import read_attachment
from .chat.conversations import Conversations
from .chat.question import Ask, Question
from .storage.transfer import read_chats

# Files as knowledge
from .knowledge.knowledge import Knowledge

# The code agent
from .agent.code_agent import CodeAgent
from .agent.events import Final, Stopped
from .agent.loop import AgentOptions
from .agent.sessions import AgentSessions
from .providers.local import LocalModelProvider
from .providers.remote import RemoteProvider
from .sandbox import RunResult, open_sandbox

# Fine-tuning
from .finetune.fine_tune import FineTune

# Models, downloads and measurements
from .benchmark.benchmarks import Benchmarks
from .hub.hub import Hub
from .library.library import Library

__all__ = [
    "AgentOptions", "AgentSessions", "Ask", "BUILTIN", "Benchmarks", "CodeAgent", "Conversations", "Engine", "EngineError", "Final",
    "FineTune", "Finished", "GenerationOptions", "Hub", "Knowledge", "Library", "LoadEvent", "LoadOptions", "LocalModelProvider",
    "Message", "ModelFit", "ModelSpec", "Prefill", "Quantization", "Question", "ReasoningDelta", "Released", "RemoteProvider",
    "RunResult", "Secret", "Settings", "Status", "Stopped", "StreamEvent", "TextDelta", "Tool", "ToolCall", "ToolCallDelta",
    "Usage", "Waiting", "estimate_fit", "open_sandbox", "read_attachment", "read_chats",
]
