"""The agent's loop: the model writes a program, the sandbox runs it, the model repairs it.

It ends at the first clean run, a reply without a program, a repeated program or error, after the allowed repairs, or when it
is stopped. After a clean run of a program that came without prose, one more call asks for an explanation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator
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
from .feedback import Exchange, PromptText, answer_text, compact_error, error_key, repair_text
from .parsing import compiles, normalised
from .writer import Writer, WrittenReply

Outcome = Final | Stopped
GREEDY = GenerationOptions(max_new_tokens=1024, temperature=0.0)
TOP_LEVEL = re.compile(r"line (\d+), in <module>")


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """`approve_first`: every program of the model waits until a person runs it with `CodeAgent.run`."""

    max_repairs: int = 2
    run_timeout_s: float = 10.0
    approve_first: bool = False
    generation: GenerationOptions = GREEDY


@dataclass(slots=True)
class CurrentTask:
    """The state of the task that the agent works on."""

    task: str
    prompt: PromptText
    repairs_left: int
    steps: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    pending_code: str | None = None         # written but not yet run
    prose: str = ""
    is_done: bool = False                   # it has an answer
    wants_explanation: bool = True                # one more call if a clean program came without prose

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def best(self) -> Attempt | None:
        """The last clean run, otherwise the attempt that got furthest; the later one of equals."""
        return max(reversed(self.attempts), key=_progress, default=None)

    @property
    def exchange(self) -> Exchange:
        """Return the task as it appears in a follow-up: with the last program, whether it was run or not."""
        unrun = Attempt(self.pending_code, has_run=False) if self.pending_code is not None else None
        return Exchange(self.task, self.prose, unrun or self.last)


def _progress(attempt: Attempt) -> tuple[bool, bool, int, int]:
    reached = TOP_LEVEL.search(attempt.error)
    return attempt.is_clean, compiles(attempt.code), int(reached[1]) if reached else 0, len(attempt.stdout)


class AgentLoop:
    """Drives one task at a time. `open_sandbox` may block; it is called before the first program is run."""

    def __init__(self, writer: Writer, open_sandbox: Callable[[], Sandbox], options: AgentOptions, stop: StopSignal) -> None:
        self._writer, self._open_sandbox, self._options, self._stop = writer, open_sandbox, options, stop
        self._num_repairs = 0

    def drive(self, work: CurrentTask, history: list[Exchange]) -> Generator[AgentEvent, None, None]:
        """The events of all steps; the last one is Final or Stopped. Raises EngineError as provider and sandbox do."""
        outcome: Outcome | None = None
        while outcome is None:
            work.steps += 1
            yield StepStarted(work.steps)
            started, tokens, calls = time.monotonic(), 0, 0
            if work.pending_code is None:
                outcome, tokens, calls = yield from self._write(work, history)
            if outcome is None and work.pending_code is not None:
                outcome = yield from self._run(work, work.pending_code)
            yield StepEnded(work.steps, time.monotonic() - started, tokens, calls)
        work.is_done = isinstance(outcome, Final)
        yield outcome

    # --- the model ---

    def _write(self, work: CurrentTask, history: list[Exchange]) -> Generator[AgentEvent, None, tuple[Outcome | None, int, int]]:
        last = work.last
        is_closing = last is not None and last.is_clean
        prompt = work.prompt if last is None else answer_text(work.prompt, last) if is_closing else repair_text(work.prompt, last)
        try:
            written = yield from self._writer.write(prompt, history, last.code if last and not is_closing else "",
                                                     is_closing=is_closing)
        except MessageTooLong:
            if last is None:
                raise           # the task itself does not fit: the error explains what to do
            lost = Final("", "clean_run", last.code, last.stdout) if is_closing else self._stopped("window", work)
            return lost, 0, 0
        outcome = self._outcome_of_explanation(work, last, written) if last and is_closing else self._outcome_of_reply(work, written)
        if outcome is None and work.pending_code is not None:
            yield CodeWritten(work.pending_code)
            if self._options.approve_first:
                outcome = Stopped("approval", Attempt(work.pending_code, has_run=False))
        return outcome, written.tokens, written.calls

    def _outcome_of_reply(self, work: CurrentTask, written: WrittenReply) -> Outcome | None:
        """The outcome of a reply; None if its program is to be run."""
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
        work.pending_code = reply.code
        return None

    def _outcome_of_explanation(self, work: CurrentTask, clean: Attempt, written: WrittenReply) -> Outcome:
        """The outcome after a clean run, with the explanation if there is one. A program in it is not run."""
        if written.reason == "stopped":
            return self._stopped("stopped", work)
        work.prose = written.reply.prose
        return Final(work.prose, "clean_run", clean.code, clean.stdout)

    def _stopped(self, reason: StopReason, work: CurrentTask, prose: str = "") -> Stopped:
        return Stopped(reason, work.best, prose)

    # --- the sandbox ---

    def _run(self, work: CurrentTask, code: str) -> Generator[AgentEvent, None, Outcome | None]:
        try:
            result = yield from self._run_in_sandbox(work, code)
        except SandboxUnavailable as unavailable:
            return Stopped("no_sandbox", Attempt(code, has_run=False), work.prose, str(unavailable))
        if result is None:
            return self._stopped("stopped", work)
        error = "" if result.ok else compact_error(result.error) or "The program failed without an error message."
        attempt = Attempt(code, result.stdout, error, result.seconds)
        if error:
            yield StepError(error, result.killed)
        for file in result.files:
            yield FileProduced(file.name, str(file.path), file.num_bytes)
        if error and self._stop.is_set():       # not the program's fault: resume() runs it again
            return Stopped("stopped", work.best or attempt)
        work.pending_code = None
        work.attempts.append(attempt)
        return self._outcome_of_run(work)

    def _run_in_sandbox(self, work: CurrentTask, code: str) -> Generator[AgentEvent, None, RunResult | None]:
        """Run the program to its result; None if stopped before a sandbox was open. Raises SandboxUnavailable."""
        sandbox = yield from opened_sandbox(self._open_sandbox, self._stop)
        if sandbox is None:
            return None
        yield Running(work.steps)
        sandbox.reset()         # so that this program neither fails nor succeeds because of what an earlier attempt left behind
        is_interrupted = False
        with closing(sandbox.stream(code, self._options.run_timeout_s)) as events:
            for event in events:
                if self._stop.is_set() and not is_interrupted:
                    is_interrupted = True
                    sandbox.interrupt()
                match event:
                    case RunResult():
                        return event
                    case StdoutPiece(text):
                        yield Stdout(text)
                    case StillRunning(seconds):
                        yield Waiting(0, seconds)
                    case _:
                        pass        # Restarted: each program is complete in itself
        raise AssertionError("a run ends with its result")

    def _outcome_of_run(self, work: CurrentTask) -> Outcome | None:
        """The outcome of a run; None if the model is to be called again."""
        *before, last = work.attempts
        if self._stop.is_set():
            return self._stopped("stopped", work)
        if last.is_clean:
            is_done = bool(work.prose.strip()) or not work.wants_explanation
            return Final(work.prose, "clean_run", last.code, last.stdout) if is_done else None
        if work.repairs_left == 0:
            return self._stopped("repair_limit" if self._num_repairs else "failed", work)
        if before and error_key(before[-1].error) == error_key(last.error):
            return self._stopped("repeated_error", work)
        work.repairs_left -= 1
        self._num_repairs += 1
        return None


def opened_sandbox(open_sandbox: Callable[[], Sandbox], stop: StopSignal) -> Generator[AgentEvent, None, Sandbox | None]:
    """The open sandbox, or None if stopped meanwhile: the first one of a process is probed, which takes seconds."""
    started = time.monotonic()
    with closing(in_thread(lambda: iter([open_sandbox()]), stop)) as sandboxes:
        for sandbox in sandboxes:
            if sandbox is not None:
                return sandbox
            yield Waiting(0, time.monotonic() - started)
    return None
