"""The interface of a sandbox: a session runs untrusted programs; a tier is one way to confine them.

    with open_sandbox() as sandbox:
        result = sandbox.run("print(6 * 7)", timeout_s=5.0)
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Limits:
    """What the programs of one session may use. The time limit is given with each run."""

    memory_bytes: int = 512 << 20           # beyond the interpreter and the libraries
    kept_output_chars: int = 200_000        # half from the beginning, half from the end
    output_bytes: int = 10 << 20            # of one run; a program that prints more is stopped
    file_bytes: int = 32 << 20              # of one file
    folder_bytes: int = 128 << 20           # of all files together, including those that the owner put in
    num_files: int = 500                    # folders count too
    num_threads: int = 32
    grace_s: float = 0.5                    # between the interrupt, which keeps variables, and the kill, which does not


@dataclass(frozen=True, slots=True)
class ProducedFile:
    """A file that a run created or changed. `name`: relative to the work folder, separated by `/`."""

    name: str
    path: Path
    num_bytes: int


@dataclass(frozen=True, slots=True)
class StdoutPiece:
    """Output of the program, including errors and warnings; sent a few times a second."""

    text: str


@dataclass(frozen=True, slots=True)
class StillRunning:
    """The program printed nothing for a while. Sent often enough that a reader can be stopped."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """The previous program was killed, or the session reset, so this one starts without its variables. Its files are still there."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """`error`: the program's own lines of the traceback, or why it was stopped. `killed`: variables are gone."""

    ok: bool
    stdout: str
    error: str
    files: tuple[ProducedFile, ...]
    seconds: float
    killed: bool
    is_restarted: bool = False              # see Restarted


SandboxEvent = StdoutPiece | StillRunning | Restarted | RunResult


class Sandbox(Protocol):
    """One session. Variables live until it is reset or closed, or until a program has to be killed."""

    @property
    def tier(self) -> str: ...

    @property
    def folder(self) -> Path:
        """The working directory of programs. The owner of the session may put files into it while nothing runs."""
        ...

    def run(self, code: str, timeout_s: float = 5.0) -> RunResult:
        """Run a program; blocks for at most `timeout_s` plus the grace period. Raises EngineBusy while another one runs in this session."""
        ...

    def stream(self, code: str, timeout_s: float = 5.0) -> Generator[SandboxEvent, None, None]:
        """Start the program at once; the last event is the RunResult. Closing the generator interrupts it. Raises as `run` does."""
        ...

    def reset(self) -> None:
        """Give the next program a new interpreter, as if none had run before; files stay. Raises EngineBusy while a program runs."""
        ...

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the program; a second call kills it. No effect if nothing runs. May be called from any thread."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Tier(Protocol):
    """One way to confine programs."""

    @property
    def name(self) -> str: ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that programs may import besides the standard library, with versions."""
        ...

    def open(self, limits: Limits) -> Sandbox:
        """Open a session. Raises SandboxUnavailable if this machine lacks what the tier needs."""
        ...


@dataclass(frozen=True, slots=True)
class TierReport:
    """The result of a tier's probe in this process. `reason`: why the tier is off; empty if it is available."""

    tier: str
    is_available: bool
    reason: str
    limits: Limits
    packages: tuple[str, ...]
