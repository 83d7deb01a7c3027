"""MindCubes' engine: one loaded model, many readers. Knows nothing of pages or HTTP.

    engine = Engine(Settings.from_env())
    for event in engine.load(ModelSpec("builtin")): ...
    for event in engine.chat([Message("user", "hi")]): ...
"""

from .engine import Engine, Released, Status
from .errors import EngineBusy, EngineError, GenerationFailed, InvalidRequest, LoadError, MessageTooLong, NoModelLoaded, gib
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
from .models.loader import LoadEvent, ModelSpec
from .models.quantization import Quantization, QuantizationChoice
from .providers.local import LocalModelProvider
from .settings import BUILTIN, Settings

__all__ = [
    "BUILTIN", "Engine", "EngineBusy", "EngineError", "Finished", "GenerationFailed", "GenerationOptions", "InvalidRequest",
    "LoadError", "LoadEvent", "LocalModelProvider", "Message", "MessageTooLong", "ModelSpec", "NoModelLoaded", "Prefill",
    "Quantization", "QuantizationChoice", "ReasoningDelta", "Released", "Settings", "Status", "StreamEvent", "TextDelta",
    "Usage", "Waiting", "gib",
]
