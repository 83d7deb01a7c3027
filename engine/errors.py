"""The errors that a user can cause or fix, as one tree.

EngineError
├── InvalidRequest          an option, message or file with an invalid value (shapes.py: InvalidShape)
│   └── MessageTooLong      one message larger than the context window
├── NoModelLoaded
├── EngineBusy              a load is running, or replies did not end within the time limit
│   ├── TooManyMessages     of one visitor, in a minute; the text says when to try again
│   └── TooManyTokens, TooManyReplies   in a day, at once
├── LoadError               a load failed; the engine is still usable
│   ├── ModelNotFound
│   ├── ModelAccessDenied   gated or private
│   ├── TokenRejected       the hub does not recognize the token
│   ├── HubUnreachable
│   │   ├── HubOffline      HF_HUB_OFFLINE is set
│   │   └── RateLimited     too many requests; the text says when to try again
│   ├── DownloadBroken      the bytes received are not those the hub lists
│   ├── DownloadStopped     stopped by a person; the part downloaded so far is kept
│   ├── UnsupportedModel        (checkpoint/adapter.py: UnsupportedAdapter)
│   ├── UnsupportedQuantization
│   └── NotEnoughMemory     refused before the current model was unloaded
├── GenerationFailed        a reply failed; the next one works (lent.py: GpuQuotaUsed, GpuNotFree, GpuRefused; adapters.py)
│   ├── OutOfMemory
│   ├── NotANumber          the model computed NaN or infinity
│   ├── ChatTemplateFailed
│   └── RemoteError         of a model on another server (remote/errors.py)
├── NotAChatModel, NoTaskModel      the loaded model does something else (pipelines/errors.py, with NoTrainedHead)
├── NotOnThisMachine        a measurement that needs the model's numbers, of a model on another server
├── DiskFull, StorageError
├── ChatNotFound, RunNotFound (of the code agent; FineTuneNotFound), Collection- and DocumentNotFound (storage/knowledge_records.py)
├── StaleChat               another page has changed the chat in the meantime
├── JobNotFound, ShareNotFound      the link is incomplete, or revoked
├── NotPermitted            on a public page: reserved for the operator, or temporarily not allowed
│   └── NotOnZeroGpu        impossible where a GPU is lent for each reply: NoSwapOnZeroGpu, NoMeasuringOnZeroGpu
├── MissingLibrary          an optional library that is not installed
├── AttachmentRefused       a file that cannot be read as text; ScannedDocument: a PDF file that has none
├── TableRefused, TableNotFound, DatasetNotFound     of examples (finetune/errors.py, hub/datasets.py)
└── SandboxUnavailable      programs cannot be run safely on this machine

Each message says what is wrong, with which value, and what to do next. No error contains a secret.
"""

from __future__ import annotations


def gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 0.1 * 2**30 else f"{num_bytes / 2**20:.0f} MiB"


class EngineError(Exception):
    """Base class. Its message can be shown to users unchanged."""


class InvalidRequest(EngineError):
    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(f"{name} is {value!r}, but it must be {expected}.")
        self.name, self.value, self.expected = name, value, expected


class MessageTooLong(InvalidRequest):
    def __init__(self, tokens: int, window_tokens: int) -> None:
        EngineError.__init__(
            self, f"This message has {tokens:,} tokens, but the model's context window holds at most {window_tokens:,}. "
                  "Shorten it, or load a model with a larger context window.")
        self.tokens, self.window_tokens = tokens, window_tokens


class NoModelLoaded(EngineError):
    def __init__(self, last_error: str = "") -> None:
        super().__init__(f"No model is loaded. {last_error or 'Load one first.'}")


class EngineBusy(EngineError):
    def __init__(self, doing: str, remedy: str = "Wait for it to finish, then try again.") -> None:
        super().__init__(f"The engine is busy: {doing}. {remedy}")


class TooManyMessages(EngineBusy):
    def __init__(self, limit: int, retry_after_s: float) -> None:
        EngineError.__init__(self, f"You may send {limit:,} messages a minute here. Try again in {retry_after_s:.0f} s.")
        self.limit, self.retry_after_s = limit, retry_after_s


class TooManyTokens(EngineBusy):
    def __init__(self, limit: int, retry_after_s: float) -> None:
        hours = max(1, round(retry_after_s / 3600))
        EngineError.__init__(self, f"You may use {limit:,} tokens a day here, and have used them. Try again in about {hours} h.")
        self.limit, self.retry_after_s, self.hours = limit, retry_after_s, hours


class TooManyReplies(EngineBusy):
    def __init__(self, limit: int) -> None:
        EngineError.__init__(self, f"You may have {limit} replies in progress here. Wait until one has ended, or stop one.")
        self.limit = limit


class LoadError(EngineError):
    def __init__(self, model: str, what: str, remedy: str) -> None:
        super().__init__(f"{model} could not be loaded: {what} {remedy}")
        self.model, self.what, self.remedy = model, what, remedy


class ModelNotFound(LoadError):
    def __init__(self, model: str, where: str) -> None:
        super().__init__(model, f"there is no model with this name in {where}.", "Check the spelling: owner/name, or an existing folder.")


class ModelAccessDenied(LoadError):
    """`licence_url`: where to ask for permission. `has_token`: a token was sent, but its account has no access."""

    def __init__(self, model: str, licence_url: str = "", *, has_token: bool = False) -> None:
        self.licence_url, self.has_token = licence_url or f"https://huggingface.co/{model}", has_token
        if has_token:
            what = "the account of this token does not have access to it (gated or private)."
            remedy = f"Accept the licence at {self.licence_url} with that account, or use a token of another account (HF_TOKEN)."
        else:
            what = "it requires its owner's permission (gated or private)."
            remedy = f"Accept the licence at {self.licence_url}, then enter a read token of that account (HF_TOKEN)."
        super().__init__(model, what, remedy)


class TokenRejected(LoadError):
    def __init__(self, model: str) -> None:
        super().__init__(model, "the Hugging Face Hub rejected this token.",
                         "Copy a read token from https://huggingface.co/settings/tokens again, or continue without one.")


class HubUnreachable(LoadError):
    def __init__(self, model: str, detail: str) -> None:
        super().__init__(model, f"the Hugging Face Hub did not respond ({detail}).",
                         "Check the connection, set HF_ENDPOINT to a mirror, or load a folder on this machine.")
        self.detail = detail


class HubOffline(HubUnreachable):
    def __init__(self, model: str) -> None:
        LoadError.__init__(self, model, "offline mode is on (HF_HUB_OFFLINE).",
                           "Choose a model that is on disk, or restart without HF_HUB_OFFLINE.")
        self.detail = "offline"


class RateLimited(HubUnreachable):
    def __init__(self, model: str, retry_after_s: float) -> None:
        LoadError.__init__(self, model, "the Hugging Face Hub received too many requests.",
                           f"Try again in {retry_after_s:.0f} s; the limit is higher with a token.")
        self.detail, self.retry_after_s = "too many requests", retry_after_s


class DownloadBroken(LoadError):
    def __init__(self, model: str, file: str, why: str) -> None:
        super().__init__(model, f"{file} arrived incomplete or damaged: {why}.", "The rest of the download is kept: start it again.")
        self.file, self.why = file, why


class DownloadStopped(LoadError):
    def __init__(self, model: str) -> None:
        EngineError.__init__(self, f"The download of {model} was stopped. The part already downloaded is kept: start it again to resume.")
        self.model, self.what, self.remedy = model, "its download was stopped.", "Start it again to resume."


class UnsupportedModel(LoadError):
    def __init__(self, model: str, why: str) -> None:
        super().__init__(model, why, "Choose a causal language model with safetensors weights.")


class UnsupportedQuantization(LoadError):
    def __init__(self, model: str, quantization: str, why: str) -> None:
        super().__init__(model, f"{quantization} is not supported on this machine: {why}", "Load it without quantization.")


class NotEnoughMemory(LoadError):
    def __init__(self, model: str, needed_bytes: int, free_bytes: int, remedy: str) -> None:
        super().__init__(model, f"it needs {gib(needed_bytes)}, but only {gib(free_bytes)} is free.", remedy)
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


class DiskFull(EngineError):
    def __init__(self, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(f"{gib(needed_bytes)} must be written, but only {gib(free_bytes)} of disk space is free. "
                         "Delete models you do not use, or choose another folder.")
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


class GenerationFailed(EngineError):
    def __init__(self, detail: str, remedy: str = "Send the message again: the engine has recovered.") -> None:
        super().__init__(f"The reply was cut off: {detail} {remedy}")


class OutOfMemory(GenerationFailed):
    def __init__(self, device: str) -> None:
        super().__init__(f"{device} ran out of memory.",
                         "Start a new chat, ask for fewer tokens, or load a smaller model or a stronger quantization.")


class NotANumber(GenerationFailed):
    def __init__(self) -> None:
        super().__init__("the model computed a value that is not a number.",
                         "Its weights may be damaged, or too large for its data type: load it without quantization, or use another model.")


class ChatTemplateFailed(GenerationFailed):
    def __init__(self, detail: str) -> None:
        super().__init__(f"the model's chat template rejected this chat ({detail}).",
                         "Start a new chat without a system prompt, or load another model.")


class NotOnThisMachine(EngineError):
    """`what`: what another server does not give, as a noun."""

    def __init__(self, model: str, what: str) -> None:
        super().__init__(f"{model} runs on another server, which does not give {what}. Load a model on this machine for that.")
        self.model = model


class StorageError(EngineError):
    """The message leaves out `path`: on a public page it would reveal the machine's folders to visitors."""

    def __init__(self, path: str, detail: str) -> None:
        remedy = "Another program is using it: close that program, then try again." if "locked" in detail else \
            "Free some disk space, or choose another folder with MINDCUBES_DATA_DIR."
        super().__init__(f"The database cannot be used ({detail}). {remedy}")
        self.path = path


class ChatNotFound(EngineError):
    def __init__(self, chat_id: str) -> None:
        super().__init__("This chat no longer exists. Start a new one, or choose another from the list.")
        self.chat_id = chat_id


class RunNotFound(EngineError):
    def __init__(self) -> None:
        super().__init__("This agent run no longer exists. Start a new one, or choose another from the list.")


class FineTuneNotFound(RunNotFound):
    def __init__(self) -> None:
        EngineError.__init__(self, "This fine-tuning run no longer exists. Start a new one, or choose another from the list.")


class StaleChat(EngineError):
    def __init__(self) -> None:
        super().__init__("This chat was changed on another page. The latest version is shown now; send again if you still want to.")


class ShareNotFound(EngineError):
    def __init__(self) -> None:
        super().__init__("This link does not work: its owner has revoked it, or it is incomplete.")


class JobNotFound(EngineError):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} does not exist. It may have been removed from the list.")
        self.job_id = job_id


class NotPermitted(EngineError):
    """The message says who may do it, or when it will be possible."""


class NotOnZeroGpu(NotPermitted):
    """`action`: what cannot be done with the model, as in "be replaced"."""

    def __init__(self, action: str) -> None:
        super().__init__(f"This Space borrows a GPU for each reply (ZeroGPU), so its model cannot {action}. "
                         "Its owner chooses the model with MINDCUBES_MODEL; for anything else, run MindCubes on your own machine.")


class NoSwapOnZeroGpu(NotOnZeroGpu):
    def __init__(self) -> None:
        super().__init__("be replaced")


class NoMeasuringOnZeroGpu(NotOnZeroGpu):
    def __init__(self) -> None:
        super().__init__("be measured")


class MissingLibrary(EngineError):
    def __init__(self, library: str, remedy: str) -> None:
        super().__init__(f"This needs {library}, which is not installed. Install it: {remedy}")
        self.library, self.remedy = library, remedy


class AttachmentRefused(EngineError):
    def __init__(self, name: str, why: str, remedy: str) -> None:
        super().__init__(f"{name} cannot be attached: {why}. {remedy}")
        self.name, self.why, self.remedy = name, why, remedy


class ScannedDocument(AttachmentRefused):
    """A PDF file without text."""


class SandboxUnavailable(EngineError):
    """`reason`: what this machine lacks, or what a program could do here although it must not."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Programs cannot be run safely on this machine: {reason.rstrip('.')}. The program is shown; run it elsewhere.")
        self.reason = reason
