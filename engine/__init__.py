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
from .agent.sandbox import RunResult, TierReport, best_sandbox, open_sandbox, prepare_sandboxes, probe_sandboxes
from .attachments import MAX_FILE_BYTES, clean_name, first_part, read_attachment
from .benchmark.benchmarks import Benchmarks, JobStep, duel_of
from .benchmark.benchmarks import result_of as benchmark_result
from .benchmark.benchmarks import step_of as benchmark_step
from .benchmark.cells import CellPlan, measure_loaded
from .benchmark.duel import Contender, Duel, Rating
from .benchmark.duel import Side as DuelSide
from .benchmark.exports import issue_report
from .benchmark.exports import rows_of as benchmark_rows
from .benchmark.harness import has_harness
from .benchmark.likelihood import TextPlan
from .benchmark.limits import Share as LimitShare
from .benchmark.load import Crowd, VisitorPlan
from .benchmark.machine import Environment
from .benchmark.published import Published, published
from .benchmark.quality import CostPlan, QualityPlan
from .benchmark.records import ModelFacts
from .benchmark.records import Run as BenchmarkRun
from .benchmark.samples import Samples
from .benchmark.scores import Score
from .benchmark.shelf import Comparison, Difference, Ratio, Shelf, measurements
from .benchmark.speed import ChatView, Speed, SpeedPlan
from .benchmark.sweep import FailedCell, Measured, SweepCell, SweepPlan
from .benchmark.tasks import Task as QualityTask
from .benchmark.tasks import read_task
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
    MissingLibrary,
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
from .storage.results import ResultFilter
from .storage.runs import Job
from .storage.transfer import ImportedChat, read_chats
from .storage.transfer import to_json as export_json
from .storage.transfer import to_markdown as export_markdown
from .workshop.export import to_notebook, to_script
from .workshop.service import Workshop

__all__ = [
    "AgentEvent", "AgentOptions", "AgentRun", "Ask", "Attachment", "AttachmentRefused", "Attempt", "BUILTIN", "BenchmarkRun",
    "Benchmarks", "CatalogEntry", "CellPlan", "Chat", "ChatMessage", "ChatNotFound", "ChatSummary", "ChatView", "CodeAgent",
    "CodeWritten", "Comparison", "Contender", "Conversations", "CostPlan", "Crowd", "Difference", "DiskFull", "DownloadBroken",
    "DownloadProgress", "DownloadStopped", "Duel", "DuelSide", "Engine", "EngineBusy", "EngineError", "Environment", "Exchange",
    "FailedCell", "FileProduced", "Final", "Finished", "FoundModel", "GenerationFailed", "GenerationOptions", "Hub", "HubFile",
    "HubListing", "HubModel", "HubOffline", "HubPage", "HubQuery", "HubUnreachable", "ImportedChat", "InvalidRequest", "Job",
    "JobStep", "KeptFile", "Library", "LimitShare", "LoadError", "LoadEvent", "LoadOptions", "LocalModelProvider",
    "MAX_FILE_BYTES", "Machine", "Measured", "Message", "MessageTooLong", "MissingLibrary", "ModelAccessDenied", "ModelFacts",
    "ModelFit", "ModelNotFound", "ModelSpec", "NoModelLoaded", "NotPermitted", "Prefill", "Progress", "PromptView", "Published",
    "QualityPlan", "QualityTask", "Quantization", "QuantizationChoice", "QuantizationFit", "Question", "RateLimited", "Rating",
    "Ratio", "ReasoningDelta", "Recommendation", "Released", "Remedy", "ResultFilter", "RunNotFound", "RunResult", "Running",
    "Samples", "SandboxUnavailable", "SavedModel", "Score", "SearchHit", "Secret", "Settings", "Share", "ShareNotFound",
    "Shelf", "Speed", "SpeedPlan", "StaleChat", "Status", "Stdout", "Step", "StepEnded", "StepError", "StepStarted", "Stopped",
    "StorageError", "StoredModel", "StreamEvent", "SweepCell", "SweepPlan", "Task", "TextDelta", "TextPlan", "Thinking",
    "TierReport", "TokenRejected", "UnsupportedModel", "Usage", "Verdict", "Visitor", "VisitorPlan", "Waiting", "Workshop",
    "Writing", "benchmark_result", "benchmark_rows", "benchmark_step", "best_sandbox", "choice_of", "clean_name", "duel_of",
    "estimate_fit", "export_json", "export_markdown", "first_part", "gib", "has_harness", "issue_report", "measure_loaded",
    "measurements", "open_sandbox", "parse_model_name", "prepare_sandboxes", "probe_sandboxes", "prompt_messages", "published",
    "read_attachment", "read_chats", "read_task", "to_notebook", "to_script",
]
