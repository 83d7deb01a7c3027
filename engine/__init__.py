"""MindCubes' engine: one loaded model, many readers. Knows nothing of pages or HTTP.

    engine = Engine(Settings.from_env())
    for event in engine.load(ModelSpec("builtin")): ...
    for event in engine.chat([Message("user", "hi")]): ...
"""

from .agent.code_agent import CodeAgent
from .agent.events import (
    AgentEvent,
    Attempt,
    CodeWritten,
    FileProduced,
    Final,
    Running,
    Stdout,
    StepEnded,
    StepError,
    StepStarted,
    Stopped,
    Thinking,
    Writing,
)
from .agent.feedback import Exchange
from .agent.loop import AgentOptions
from .agent.sandbox import RunResult, TierReport, open_sandbox, probe_sandboxes
from .attachments import MAX_FILE_BYTES, clean_name, first_part, read_attachment
from .conversations.live import Progress
from .conversations.service import Ask, Conversations, Question, prompt_messages
from .engine import Engine
from .errors import (
    AttachmentRefused,
    ChatNotFound,
    DiskFull,
    DownloadBroken,
    DownloadStopped,
    EngineBusy,
    EngineError,
    GenerationFailed,
    HubOffline,
    HubUnreachable,
    InvalidRequest,
    LoadError,
    MessageTooLong,
    ModelAccessDenied,
    ModelNotFound,
    NoModelLoaded,
    NotPermitted,
    RateLimited,
    RunNotFound,
    SandboxUnavailable,
    ShareNotFound,
    StaleChat,
    StorageError,
    TokenRejected,
    UnsupportedModel,
    gib,
)
from .found import FoundModel, Machine, Visitor
from .library import Library
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
from .models.catalog import CatalogEntry, Recommendation
from .models.estimate import ModelFit, QuantizationFit, estimate_fit
from .models.fit import Verdict
from .models.hub import DownloadProgress, Hub, HubFile, HubListing, HubModel, HubPage, HubQuery, StoredModel, parse_model_name
from .models.quantization import Quantization, QuantizationChoice
from .models.saved import SavedModel
from .models.spec import LoadEvent, LoadOptions, ModelSpec, Released
from .providers.local import LocalModelProvider
from .remedies import Remedy, choice_of
from .settings import BUILTIN, Secret, Settings
from .status import Status
from .storage.agent_records import AgentRun, KeptFile, Step, Task
from .storage.records import Attachment, Chat, ChatMessage, ChatSummary, SearchHit, Share
from .storage.runs import Job
from .storage.transfer import ImportedChat, read_chats
from .storage.transfer import to_json as export_json
from .storage.transfer import to_markdown as export_markdown
from .workshop.export import to_notebook, to_script
from .workshop.service import Workshop

__all__ = [
    "AgentEvent", "AgentOptions", "AgentRun", "Ask", "Attachment", "AttachmentRefused", "Attempt", "BUILTIN", "CatalogEntry",
    "Chat", "ChatMessage", "ChatNotFound", "ChatSummary", "CodeAgent", "CodeWritten", "Conversations", "DiskFull",
    "DownloadBroken", "DownloadProgress", "DownloadStopped", "Engine", "EngineBusy", "EngineError", "Exchange", "FileProduced",
    "Final", "Finished", "FoundModel", "GenerationFailed", "GenerationOptions", "Hub", "HubFile", "HubListing", "HubModel",
    "HubOffline", "HubPage", "HubQuery", "HubUnreachable", "ImportedChat", "InvalidRequest", "Job", "KeptFile", "Library",
    "LoadError", "LoadEvent", "LoadOptions", "LocalModelProvider", "MAX_FILE_BYTES", "Machine", "Message", "MessageTooLong",
    "ModelAccessDenied", "ModelFit", "ModelNotFound", "ModelSpec", "NoModelLoaded", "NotPermitted", "Prefill", "Progress",
    "PromptView", "Quantization", "QuantizationChoice", "QuantizationFit", "Question", "RateLimited", "ReasoningDelta",
    "Recommendation", "Released", "Remedy", "RunNotFound", "RunResult", "Running", "SandboxUnavailable", "SavedModel",
    "SearchHit", "Secret", "Settings", "Share", "ShareNotFound", "StaleChat", "Status", "Stdout", "Step", "StepEnded",
    "StepError", "StepStarted", "Stopped", "StorageError", "StoredModel", "StreamEvent", "Task", "TextDelta", "Thinking",
    "TierReport", "TokenRejected", "UnsupportedModel", "Usage", "Verdict", "Visitor", "Waiting", "Workshop", "Writing",
    "choice_of", "clean_name", "estimate_fit", "export_json", "export_markdown", "first_part", "gib", "open_sandbox",
    "parse_model_name", "probe_sandboxes", "prompt_messages", "read_attachment", "read_chats", "to_notebook", "to_script",
]
