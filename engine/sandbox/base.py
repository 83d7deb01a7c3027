"""A box for programs that nobody has read: what one is asked, and what it answers. Each tier builds it of other walls.

    with open_sandbox() as box:
        result = box.run("print(6 * 7)", timeout_s=5.0)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Limits:
    """What the programs of one box may use. Time is given with each run."""

    memory_bytes: int = 512 << 20           # beyond the interpreter and the libraries
    kept_output_chars: int = 200_000        # half from the beginning, half from the end
    output_bytes: int = 10 << 20            # of one run; more is taken for a mistake, and the program is stopped
    file_bytes: int = 32 << 20              # of one file
    folder_bytes: int = 128 << 20           # of all files together, those included that the owner put in
    num_files: int = 500                    # folders count too
    num_threads: int = 32
    grace_s: float = 0.5                    # from the soft stop, which keeps variables, to the hard one, which does not


@dataclass(frozen=True, slots=True)
class ProducedFile:
    """A file that a run made or changed. `name` is relative to the work folder, with `/` between its parts."""

    name: str
    path: Path
    num_bytes: int


@dataclass(frozen=True, slots=True)
class StdoutPiece:
    """What the program printed, errors and warnings included, a few times a second."""

    text: str


@dataclass(frozen=True, slots=True)
class StillRunning:
    """Nothing was printed for a while; comes often enough that a page may be left."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """The program before was killed, so this one starts without its variables. Files are still there."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """`error` holds the program's own lines of the traceback, or why it was stopped. After `killed`, variables are gone."""

    ok: bool
    stdout: str
    error: str
    files: tuple[ProducedFile, ...]
    seconds: float
    killed: bool
    is_restarted: bool = False              # see Restarted


SandboxEvent = StdoutPiece | StillRunning | Restarted | RunResult


class Sandbox(Protocol):
    """One visitor's box. Variables live until it is closed, or a program had to be killed."""

    @property
    def tier(self) -> str: ...

    @property
    def folder(self) -> Path:
        """The folder in which programs start. Whoever owns the box may put files in while nothing runs."""
        ...

    def run(self, code: str, timeout_s: float = 5.0) -> RunResult:
        """Blocks for at most `timeout_s` and the grace. Raises EngineBusy while another program runs in this box."""
        ...

    def stream(self, code: str, timeout_s: float = 5.0) -> Iterator[SandboxEvent]:
        """Start at once; the last event is the RunResult. Leaving the iterator early interrupts the program. Raises as `run` does."""
        ...

    def interrupt(self) -> None:
        """From any thread: the program gets a KeyboardInterrupt; the second call kills it. Nothing happens where nothing runs."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Tier(Protocol):
    """One way to build a box."""

    @property
    def name(self) -> str: ...

    @property
    def packages(self) -> tuple[str, ...]:
        """What programs may import beside the standard library, with versions."""
        ...

    def open(self, limits: Limits) -> Sandbox:
        """Raises SandboxUnavailable where this machine has not what the walls need."""
        ...


@dataclass(frozen=True, slots=True)
class TierReport:
    """What this process knows of a tier. `reason` says why it is off, and is empty where it is on."""

    tier: str
    is_available: bool
    reason: str
    limits: Limits
    packages: tuple[str, ...]
