"""The agent of one visitor: a provider, a sandbox, and the tasks so far.

    with CodeAgent(llm_provider=LocalModelProvider()) as agent:
        print(await agent.process("Fibonacci fonksiyonu yaz"))
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from ..background import StopSignal
from ..errors import EngineBusy, InvalidRequest, SandboxUnavailable
from ..messages import GenerationOptions
from ..providers.base import ChatProvider
from ..sandbox.base import Sandbox
from .events import AgentEvent, Final, Stopped
from .feedback import Exchange, task_text
from .files import previews, put_file
from .loop import AgentLoop, AgentOptions, CurrentTask, opened_sandbox
from .window import Window
from .writer import Writer

WARM_TEMPERATURE = 0.7      # used by resume(): a greedy model would give the same reply to the same prompt


class CodeAgent:
    """Works on one task at a time; a second one meanwhile raises EngineBusy. A later task sees earlier programs and results.

    `sandbox`: a session that the caller owns. Without it one is opened for the first program and closed by `close`.
    """

    def __init__(self, llm_provider: ChatProvider, sandbox: Sandbox | None = None, options: AgentOptions | None = None, *,
                 window: Window | None = None, history: Sequence[Exchange] = ()) -> None:
        self.provider, self.options = llm_provider, options or AgentOptions()
        self._window = window or Window.of(llm_provider)
        self._given_sandbox = sandbox
        self._own_sandbox: Sandbox | None = None
        self._past = list(history)
        self._work: CurrentTask | None = None
        self._stop = StopSignal()
        self._working = threading.Lock()

    @property
    def history(self) -> tuple[Exchange, ...]:
        """Return every task so far, including the last: pass it as `history=` to continue in another agent."""
        return (*self._past, *([self._work.exchange] if self._work is not None else []))

    async def process(self, task: str, files: Sequence[str | Path] = ()) -> str:
        """Return the whole result as text: explanation, program, output, and the reason if it stopped. Raises EngineError."""
        stop = StopSignal()
        try:
            return (await asyncio.to_thread(_last, self.stream(task, files, stop=stop))).full_text
        finally:
            stop.set()          # matters only if the call was cancelled: its thread would continue

    def stream(self, task: str, files: Sequence[str | Path] = (), *, stop: StopSignal | None = None) -> Generator[AgentEvent, None, None]:
        """Work on a task, or on a follow-up to one. The last event is Final or Stopped; closing the generator stops everything.

        `files` are copied into the sandbox's folder. `stop` and `self.stop()` end generation and program within a second.
        Raises EngineBusy, InvalidRequest (MessageTooLong), AttachmentRefused, and GenerationFailed in all its kinds.
        """
        if not task.strip():
            raise InvalidRequest("task", task, "a description of what to do")
        return self._exclusively(lambda: self._new_task(task, [Path(file) for file in files]), stop)

    def run(self, code: str, max_repairs: int = 0, *, stop: StopSignal | None = None) -> Generator[AgentEvent, None, None]:
        """Run a program that a person approved or edited; the model repairs it at most `max_repairs` times if it fails."""
        if not code.strip():
            raise InvalidRequest("code", code, "a program")
        return self._exclusively(lambda: self._with_given_code(code, max_repairs), stop)

    def resume(self, *, stop: StopSignal | None = None) -> Generator[AgentEvent, None, None]:
        """Continue the last task where it stopped, with all repairs available again and sampled replies.

        Raises InvalidRequest if it is done.
        """
        work = self._work
        if work is None or work.is_done:
            raise InvalidRequest("resume", "nothing", "a task that stopped before its end")
        if work.pending_code is not None and self.options.approve_first:
            raise InvalidRequest("resume", "a program that waits for approval", "run with the approved program")
        work.repairs_left = self.options.max_repairs
        generation = self.options.generation
        sampled = replace(generation, temperature=max(WARM_TEMPERATURE, generation.temperature))
        return self._exclusively(lambda: _unchanged(work), stop, sampled)

    def stop(self) -> None:
        """End the current work. May be called from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and close the sandbox session if the agent opened it."""
        self.stop()
        sandbox, self._own_sandbox = self._own_sandbox, None
        if sandbox is not None:
            sandbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- internal ---

    def _exclusively(self, prepare: Callable[[], Generator[AgentEvent, None, CurrentTask]], stop: StopSignal | None,
                     generation: GenerationOptions | None = None) -> Generator[AgentEvent, None, None]:
        if not self._working.acquire(blocking=False):
            raise EngineBusy("this agent is at work", "Stop it, or wait for its end.")
        try:
            self._stop = stop or StopSignal()
            writer = Writer(self.provider, generation or self.options.generation, self._window, self._stop)
            work = self._work = yield from prepare()
            yield from AgentLoop(writer, self._sandbox, self.options, self._stop).drive(work, self._past)
            self._window = writer.window
        finally:
            self._working.release()

    def _new_task(self, task: str, files: list[Path]) -> Generator[AgentEvent, None, CurrentTask]:
        shown = previews(files)
        if files:
            yield from self._put(files)
        if self._work is not None and self._work.exchange.reply:
            self._past.append(self._work.exchange)
        return CurrentTask(task, task_text(task, shown), self.options.max_repairs)

    def _put(self, files: list[Path]) -> Generator[AgentEvent, None, None]:
        """Copy files into the sandbox's folder. Without a sandbox nothing is copied, since nothing will run; a program is still written."""
        with suppress(SandboxUnavailable):
            sandbox = yield from opened_sandbox(self._sandbox, self._stop)
            if sandbox is not None:
                for file in files:
                    put_file(file, sandbox.folder)

    def _with_given_code(self, code: str, max_repairs: int) -> Generator[AgentEvent, None, CurrentTask]:
        yield from ()
        work = self._work or CurrentTask("", task_text(""), max_repairs)
        if code != work.pending_code:
            work.prose = ""         # it explained the original program
        work.pending_code, work.repairs_left, work.wants_explanation = code, max_repairs, max_repairs > 0
        return work

    def _sandbox(self) -> Sandbox:
        """Return the session, opened at first use. Raises SandboxUnavailable."""
        if self._given_sandbox is not None:
            return self._given_sandbox
        if self._own_sandbox is None:
            from ..sandbox import open_sandbox

            self._own_sandbox = open_sandbox()
        return self._own_sandbox


def _unchanged(work: CurrentTask) -> Generator[AgentEvent, None, CurrentTask]:
    yield from ()
    return work


def _last(events: Iterator[AgentEvent]) -> Final | Stopped:
    *_, last = events
    assert isinstance(last, Final | Stopped), "a task ends with Final or Stopped, or an exception"
    return last
