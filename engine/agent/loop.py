"""The loop: the model writes a program, the sandbox runs it, the model repairs it, until there is an answer or a reason to stop.

It ends at the first clean run, at a reply without a program, at a program or an error that comes again, after the allowed
repairs, or when it is told to. A program that ran clean but came without a word gets one more call, for an answer in words.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from ..background import StopSignal, in_thread
from ..errors import MessageTooLong, SandboxUnavailable
from ..messages import GenerationOptions, Waiting
from ..sandbox.base import RunResult, Sandbox, StdoutPiece, StillRunning
from .events import (
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
    StopReason,
)
from .feedback import Ask, Exchange, answer_text, compact_error, error_key, repair_text
from .parsing import compiles, normalised
from .writer import Writer, Written

Outcome = Final | Stopped
GREEDY = GenerationOptions(max_new_tokens=1024, temperature=0.0)
TOP_LEVEL = re.compile(r"line (\d+), in <module>")


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """`approve_first`: every program of the model waits until a person has run it with `CodeAgent.run`."""

    max_repairs: int = 2
    run_timeout_s: float = 10.0
    approve_first: bool = False
    generation: GenerationOptions = GREEDY


@dataclass(slots=True)
class Work:
    """One task, from its words to its last attempt."""

    task: str
    ask: Ask
    repairs_left: int
    steps: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    waiting_code: str | None = None         # written, not run yet
    prose: str = ""
    is_done: bool = False                   # it has an answer
    wants_words: bool = True                # one more call where a clean program came without any

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def best(self) -> Attempt | None:
        """The last clean run, else the attempt that got furthest; of equals the later one."""
        return max(reversed(self.attempts), key=_progress, default=None)

    @property
    def exchange(self) -> Exchange:
        """What a follow-up sees: the last program, whether it has run or not."""
        unrun = Attempt(self.waiting_code, has_run=False) if self.waiting_code is not None else None
        return Exchange(self.task, self.prose, unrun or self.last)


def _progress(attempt: Attempt) -> tuple[bool, bool, int, int]:
    reached = TOP_LEVEL.search(attempt.error)
    return attempt.is_clean, compiles(attempt.code), int(reached[1]) if reached else 0, len(attempt.stdout)


class Loop:
    """Drives one piece of work at a time. `open_box` may block; it is called when the first program is to be run."""

    def __init__(self, writer: Writer, open_box: Callable[[], Sandbox], options: AgentOptions, stop: StopSignal) -> None:
        self._writer, self._open_box, self._options, self._stop = writer, open_box, options, stop
        self._num_repairs = 0

    def drive(self, work: Work, history: list[Exchange]) -> Iterator[AgentEvent]:
        """Steps until the last event, which is Final or Stopped. Raises EngineError as provider and sandbox do."""
        outcome: Outcome | None = None
        while outcome is None:
            work.steps += 1
            yield StepStarted(work.steps)
            started, tokens, calls = time.monotonic(), 0, 0
            if work.waiting_code is None:
                outcome, tokens, calls = yield from self._write(work, history)
            if outcome is None and work.waiting_code is not None:
                outcome = yield from self._run(work, work.waiting_code)
            yield StepEnded(work.steps, time.monotonic() - started, tokens, calls)
        work.is_done = isinstance(outcome, Final)
        yield outcome

    # --- the model ---

    def _write(self, work: Work, history: list[Exchange]) -> Generator[AgentEvent, None, tuple[Outcome | None, int, int]]:
        last = work.last
        is_closing = last is not None and last.is_clean
        ask = work.ask if last is None else answer_text(work.ask, last) if is_closing else repair_text(work.ask, last)
        try:
            written = yield from self._writer.write(ask, history, last.code if last and not is_closing else "")
        except MessageTooLong:
            if last is None:
                raise           # the task itself: nothing is lost, and the error says what to do
            lost = Final("", "clean_run", last.code, last.stdout) if is_closing else self._stopped("window", work)
            return lost, 0, 0
        outcome = self._closed(work, written) if is_closing else self._judged(work, written)
        if outcome is None and work.waiting_code is not None:
            yield CodeWritten(work.waiting_code)
            if self._options.approve_first:
                outcome = Stopped("approval", Attempt(work.waiting_code, has_run=False))
        return outcome, written.tokens, written.calls

    def _judged(self, work: Work, written: Written) -> Outcome | None:
        """What a reply means; None where its program is to be run."""
        reply = written.reply
        if written.reason == "stopped":
            return self._stopped("stopped", work, reply.prose)
        if written.is_cut:
            return self._stopped("cut_off", work, reply.text)
        if not reply.text.strip():
            return self._stopped("empty_reply", work)
        work.prose = reply.prose
        if reply.code is None:
            return Final(reply.prose, "answer")
        if normalised(reply.code) in {normalised(attempt.code) for attempt in work.attempts}:
            return self._stopped("repeated_program", work)
        work.waiting_code = reply.code
        return None

    def _closed(self, work: Work, written: Written) -> Outcome:
        """The end after a clean run: the words asked for, or none. A program in them is not run any more."""
        assert work.last is not None
        if written.reason == "stopped":
            return self._stopped("stopped", work)
        work.prose = written.reply.prose
        return Final(work.prose, "clean_run", work.last.code, work.last.stdout)

    def _stopped(self, reason: StopReason, work: Work, prose: str = "") -> Stopped:
        return Stopped(reason, work.best, prose)

    # --- the sandbox ---

    def _run(self, work: Work, code: str) -> Generator[AgentEvent, None, Outcome | None]:
        try:
            result = yield from self._follow(work, code)
        except SandboxUnavailable as unavailable:
            return Stopped("no_sandbox", Attempt(code, has_run=False), work.prose, str(unavailable))
        if result is None:
            return self._stopped("stopped", work)
        error = "" if result.ok else compact_error(result.error) or "The program failed without saying why."
        attempt = Attempt(code, result.stdout, error, result.seconds)
        if error:
            yield StepError(error, result.killed)
        for file in result.files:
            yield FileProduced(file.name, str(file.path), file.num_bytes)
        if error and self._stop.is_set():       # not the program's fault: `resume` runs it again
            return Stopped("stopped", work.best or attempt)
        work.waiting_code = None
        work.attempts.append(attempt)
        return self._verdict(work)

    def _follow(self, work: Work, code: str) -> Generator[AgentEvent, None, RunResult | None]:
        """The program from its start to its result; None when stopped before there was a sandbox. Raises SandboxUnavailable."""
        box = yield from opened(self._open_box, self._stop)
        if box is None:
            return None
        yield Running(work.steps)
        is_interrupted = False
        with closing(box.stream(code, self._options.run_timeout_s)) as events:      # type: ignore[type-var]
            for event in events:
                if self._stop.is_set() and not is_interrupted:
                    is_interrupted = True
                    box.interrupt()
                match event:
                    case RunResult():
                        return event
                    case StdoutPiece(text):
                        yield Stdout(text)
                    case StillRunning(seconds):
                        yield Waiting(0, seconds)
                    case _:
                        pass        # a new interpreter is no news to programs that are whole
        raise AssertionError("a run ends with its result")

    def _verdict(self, work: Work) -> Outcome | None:
        """What a run means; None where the model is to be asked again."""
        *before, last = work.attempts
        if self._stop.is_set():
            return self._stopped("stopped", work)
        if last.is_clean:
            is_done = bool(work.prose.strip()) or not work.wants_words
            return Final(work.prose, "clean_run", last.code, last.stdout) if is_done else None
        if work.repairs_left == 0:
            return self._stopped("repair_limit" if self._num_repairs else "failed", work)
        if before and error_key(before[-1].error) == error_key(last.error):
            return self._stopped("repeated_error", work)
        work.repairs_left -= 1
        self._num_repairs += 1
        return None


def opened(open_box: Callable[[], Sandbox], stop: StopSignal) -> Generator[AgentEvent, None, Sandbox | None]:
    """The sandbox, or None when stopped meanwhile: the first one of a process is probed, which takes seconds."""
    started = time.monotonic()
    with closing(in_thread(lambda: iter([open_box()]), stop)) as boxes:
        for box in boxes:
            if box is not None:
                return box
            yield Waiting(0, time.monotonic() - started)
    return None
