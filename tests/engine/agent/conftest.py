"""Fakes for what the agent depends on: a scripted model, and an unconfined sandbox for the tests' own programs."""

from __future__ import annotations

import contextlib
import io
import linecache
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine import AgentSessions, EngineError, Finished, GenerationOptions, Message, ReasoningDelta, StreamEvent, TextDelta, Usage
from engine.agent.code_agent import CodeAgent
from engine.agent.events import AgentEvent
from engine.agent.loop import AgentOptions
from engine.agent.window import Window
from engine.sandbox import probe_sandboxes
from engine.sandbox.base import ProducedFile, RunResult, SandboxEvent, StdoutPiece, StillRunning
from tests.ui.scripted_engine import ScriptedEngine

BAD = "```python\nprint(undefined)\n```"
WORSE = "```python\nimport missing_module\n```"
GOOD = "```python\nprint(6 * 7)\n```"
Scripted = str | tuple[str, str] | Sequence[StreamEvent] | EngineError


class ScriptedModel:
    """Plays one entry of its script for every call: a reply, a reply with its finish reason, events, or an error to raise.

    `endless`: after the script it generates without end, a token every 10 ms.
    """

    name = "scripted"

    def __init__(self, *script: Scripted, endless: bool = False) -> None:
        self.script, self.endless = list(script), endless
        self.asked: list[tuple[Message, ...]] = []
        self.options: list[GenerationOptions] = []
        self.last_token_at = 0.0
        self.is_closed = threading.Event()

    @property
    def calls(self) -> int:
        return len(self.asked)

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        self.asked.append(tuple(messages))
        self.options.append(options)
        try:
            if self.endless and not self.script:
                yield from self._endless()
            yield from self._play(self.script.pop(0))
        finally:
            self.is_closed.set()

    def _endless(self) -> Iterator[StreamEvent]:
        while True:
            self.last_token_at = time.monotonic()
            yield TextDelta("word ")
            time.sleep(0.01)

    def _play(self, entry: Scripted) -> Iterator[StreamEvent]:
        if isinstance(entry, EngineError):
            raise entry
        if not isinstance(entry, (str, tuple)) or (entry and not isinstance(entry[0], str)):
            yield from entry    # type: ignore[misc]
            return
        text, reason = (entry, "stop") if isinstance(entry, str) else entry
        for at in range(0, len(text), 7):       # in pieces that respect nothing
            yield TextDelta(text[at: at + 7])   # type: ignore[arg-type]
        yield Finished(reason, Usage(10, 0, 5, 0.0, 0.0))   # type: ignore[arg-type]


class UnconfinedSandbox:
    """Runs a test's own programs in this process, unconfined, with the interface of a sandbox."""

    tier = "none"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[str] = []
        self.interrupts = 0
        self.is_closed = False

    def run(self, code: str, timeout_s: float = 5.0) -> RunResult:
        *_, last = self.stream(code, timeout_s)
        assert isinstance(last, RunResult)
        return last

    def stream(self, code: str, timeout_s: float = 5.0) -> Iterator[SandboxEvent]:
        self.ran.append(code)
        if code == "hang()":
            yield from self._hang()
            return
        linecache.cache["program.py"] = (len(code), None, code.splitlines(keepends=True), "program.py")
        before, out, error = set(self.folder.iterdir()), io.StringIO(), ""
        try:
            with contextlib.redirect_stdout(out), contextlib.chdir(self.folder):
                exec(compile(code, "program.py", "exec"), {"__name__": "__main__"})
        except Exception as raised:
            formatted = traceback.TracebackException.from_exception(raised)
            formatted.stack = traceback.StackSummary.from_list([frame for frame in formatted.stack if frame.filename == "program.py"])
            error = "".join(formatted.format())
        if out.getvalue():
            yield StdoutPiece(out.getvalue())
        made = sorted(set(self.folder.iterdir()) - before)
        files = tuple(ProducedFile(path.name, path, path.stat().st_size) for path in made)
        yield RunResult(not error, out.getvalue(), error, files, 0.01, killed=False)

    def _hang(self) -> Iterator[SandboxEvent]:
        started = time.monotonic()
        while not self.interrupts:
            yield StillRunning(time.monotonic() - started)
            time.sleep(0.05)
        yield RunResult(False, "", "Stopped. Variables are kept.", (), time.monotonic() - started, killed=False)

    def reset(self) -> None:
        """Nothing to do: each program has its own namespace."""

    def interrupt(self) -> None:
        self.interrupts += 1

    def close(self) -> None:
        self.is_closed = True

    def __enter__(self) -> UnconfinedSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def sandbox(tmp_path: Path) -> UnconfinedSandbox:
    folder = tmp_path / "work"
    folder.mkdir()
    return UnconfinedSandbox(folder)


@pytest.fixture
def new_agent(sandbox: UnconfinedSandbox) -> Callable[..., CodeAgent]:
    def make(model: ScriptedModel, window: Window | None = None, **options: object) -> CodeAgent:
        return CodeAgent(model, sandbox, AgentOptions(**options), window=window)    # type: ignore[arg-type]
    return make


def kinds(events: Sequence[AgentEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def of_kind(events: Sequence[AgentEvent], kind: type) -> list[AgentEvent]:
    return [event for event in events if isinstance(event, kind)]


__all__ = ["BAD", "GOOD", "WORSE", "ReasoningDelta", "ScriptedModel", "UnconfinedSandbox", "kinds", "of_kind"]


@pytest.fixture
def open_sessions() -> Iterator[Callable[[ScriptedEngine], AgentSessions]]:
    if not any(report.is_available for report in probe_sandboxes()):
        pytest.skip("no sandbox works on this machine")
    opened: list[AgentSessions] = []

    def start(engine: ScriptedEngine) -> AgentSessions:
        opened.append(AgentSessions(engine))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for sessions in opened:
        sessions.close()
