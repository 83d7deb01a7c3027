"""MindCubes' engine: one loaded model that serves many readers at once. Knows nothing of pages or HTTP.

    engine = Engine(Settings.from_env())
    for event in engine.load(ModelSpec("builtin")): ...
    for event in engine.chat([Message("user", "hi")]): ...

These are the names for programs. The page uses the packages' own public names (`engine.chat`, `engine.benchmark`, ...).
"""

# Configuration and errors
# What is built on it
from .agent.code_agent import CodeAgent
from .agent.events import Final, Stopped
from .agent.loop import AgentOptions
from .agent.sessions import AgentSessions
from .benchmark.benchmarks import Benchmarks
from .chat.attachments import read_attachment
from .chat.conversations import Conversations
from .chat.question import Ask, Question
from .errors import EngineError
from .hub.hub import Hub
from .library.library import Library

# Values that go in and come out of a chat
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

# Which model, and whether it fits
from .models.estimate import ModelFit, estimate_fit
from .models.quantization import Quantization
from .models.spec import LoadEvent, LoadOptions, ModelSpec, Released
from .providers.local import LocalModelProvider

# The loaded model
from .runtime.engine import Engine
from .runtime.status import Status
from .sandbox import RunResult, open_sandbox
from .storage.transfer import read_chats
from .settings import BUILTIN, Secret, Settings

__all__ = [
    "AgentOptions", "AgentSessions", "Ask", "BUILTIN", "Benchmarks", "CodeAgent", "Conversations", "Engine", "EngineError", "Final",
    "Finished", "GenerationOptions", "Hub", "Library", "LoadEvent", "LoadOptions", "LocalModelProvider", "Message", "ModelFit",
    "ModelSpec", "Prefill", "Quantization", "Question", "ReasoningDelta", "Released", "RunResult", "Secret", "Settings", "Status",
    "Stopped", "StreamEvent", "TextDelta", "Usage", "Waiting", "estimate_fit", "open_sandbox", "read_attachment", "read_chats",
]
