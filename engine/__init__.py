"""MindCubes' engine: one loaded model, many readers. Knows nothing of pages or HTTP.

    engine = Engine(Settings.from_env())
    for event in engine.load(ModelSpec("builtin")): ...
    for event in engine.chat([Message("user", "hi")]): ...
"""

from .conversations.live import Progress
from .conversations.service import Ask, Conversations, Question
from .engine import Engine, Released, Status
from .errors import (
    AttachmentRefused,
    ChatNotFound,
    EngineBusy,
    EngineError,
    GenerationFailed,
    InvalidRequest,
    LoadError,
    MessageTooLong,
    NoModelLoaded,
    ShareNotFound,
    StaleChat,
    StorageError,
    gib,
)
from .messages import (
    Finished,
    GenerationOptions,
    Message,
    Prefill,
    PromptView,
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
from .storage.records import Attachment, Chat, ChatMessage, ChatSummary, SearchHit, Share

__all__ = [
    "BUILTIN", "Ask", "Attachment", "AttachmentRefused", "Chat", "ChatMessage", "ChatNotFound", "ChatSummary",
    "Conversations", "Engine", "EngineBusy", "EngineError", "Finished", "GenerationFailed", "GenerationOptions",
    "gib", "InvalidRequest", "LoadError", "LoadEvent", "LocalModelProvider", "Message", "MessageTooLong",
    "ModelSpec", "NoModelLoaded", "Prefill", "Progress", "PromptView", "Quantization", "QuantizationChoice",
    "Question", "ReasoningDelta", "Released", "SearchHit", "Settings", "Share", "ShareNotFound", "StaleChat",
    "Status", "StorageError", "StreamEvent", "TextDelta", "Usage", "Waiting",
]
