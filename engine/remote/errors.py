"""What goes wrong with a model on another server.

GenerationFailed
└── RemoteError
    ├── RemoteUnreachable
    ├── RemoteKeyRefused
    ├── RemoteModelMissing
    ├── RemoteBusy          too many requests; the text says when to try again
    └── RemoteFailed        it refused the request, failed, or ended the reply too early
"""

from __future__ import annotations

from ..errors import EngineError, GenerationFailed


class RemoteError(GenerationFailed):
    """`name`: of the connection: visitors of a public page see it, and no address. `detail`: what it said, or why it said nothing."""

    def __init__(self, name: str, detail: str, what: str, remedy: str) -> None:
        said = f" ({detail.rstrip('. ')})" if detail else ""
        EngineError.__init__(self, f"{name}: {what}{said}. {remedy}")
        self.name, self.detail = name, detail.rstrip(". ") or "–"


class RemoteUnreachable(RemoteError):
    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail, "the server cannot be reached", "Check that it runs, and that its address is right.")


class RemoteKeyRefused(RemoteError):
    """Also where a server asks for a key and got none."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail, "the server did not accept the key", "Enter the right one in the Models tab.")


class RemoteModelMissing(RemoteError):
    def __init__(self, name: str, model: str, detail: str) -> None:
        super().__init__(name, detail, f"the server has no model {model}", "Choose one that it offers in the Models tab.")
        self.model = model


class RemoteBusy(RemoteError):
    def __init__(self, name: str, retry_after_s: float, detail: str) -> None:
        super().__init__(name, detail, "the server received too many requests", f"Try again in {retry_after_s:.0f} s.")
        self.retry_after_s = retry_after_s


class RemoteFailed(RemoteError):
    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail, "the server failed", "Try again, or look at its log; the text so far is kept.")
