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
from .loop import AgentOptions, Loop, Work, opened
from .window import Window
from .writer import Writer

WARM_TEMPERATURE = 0.7      # of `resume`: asked the same again, a greedy model writes the same


class CodeAgent:
    """One task at a time; a second one meanwhile raises EngineBusy. A later task sees the programs and results before it.

    `sandbox`: a box that the caller owns; without it one is opened for the first program, and closed by `close`.
    """

    def __init__(self, llm_provider: ChatProvider, sandbox: Sandbox | None = None, options: AgentOptions | None = None, *,
                 window: Window | None = None, history: Sequence[Exchange] = ()) -> None:
        self.provider, self.options = llm_provider, options or AgentOptions()
        self._window = window or Window.of(llm_provider)
        self._given_box = sandbox
        self._own_box: Sandbox | None = None
        self._past = list(history)
        self._work: Work | None = None
        self._stop = StopSignal()
        self._working = threading.Lock()

    @property
    def history(self) -> tuple[Exchange, ...]:
        """Every task so far, the last one included: what an agent made with `history=` goes on from."""
        return (*self._past, *([self._work.exchange] if self._work is not None else []))

    async def process(self, task: str, files: Sequence[str | Path] = ()) -> str:
        """Everything there is to read at the end: words, program, output, and why it stopped if it did. Raises EngineError."""
        stop = StopSignal()
        try:
            return (await asyncio.to_thread(_last, self.stream(task, files, stop=stop))).full_text
        finally:
            stop.set()          # no effect but on a cancelled call, whose thread would work on

    def stream(self, task: str, files: Sequence[str | Path] = (), *, stop: StopSignal | None = None) -> Iterator[AgentEvent]:
        """Work on a task, or on what comes after one. The last event is Final or Stopped; leaving early stops everything.

        `files` are copied into the sandbox's folder. `stop`, or `self.stop()`, ends tokens and program within a second.
        Raises EngineBusy, InvalidRequest (MessageTooLong), AttachmentRefused, and GenerationFailed in all its kinds.
        """
        if not task.strip():
            raise InvalidRequest("task", task, "some words about what to do")
        return self._alone(lambda: self._begun(task, [Path(file) for file in files]), stop)

    def run(self, code: str, max_repairs: int = 0, *, stop: StopSignal | None = None) -> Iterator[AgentEvent]:
        """Run a program that a person approved or edited, and let the model repair it `max_repairs` times if it fails."""
        if not code.strip():
            raise InvalidRequest("code", code, "a program")
        return self._alone(lambda: self._given(code, max_repairs), stop)

    def resume(self, *, stop: StopSignal | None = None) -> Iterator[AgentEvent]:
        """Go on where the last task stopped, with all repairs again and drawn replies. Raises InvalidRequest when it is done."""
        work = self._work
        if work is None or work.is_done:
            raise InvalidRequest("resume", "nothing", "a task that stopped before its end")
        if work.waiting_code is not None and self.options.approve_first:
            raise InvalidRequest("resume", "a program that waits for approval", "run with the approved program")
        work.repairs_left = self.options.max_repairs
        generation = self.options.generation
        warmer = replace(generation, temperature=max(WARM_TEMPERATURE, generation.temperature))
        return self._alone(lambda: _at_once(work), stop, warmer)

    def stop(self) -> None:
        """From any thread: end what runs now."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and close the sandbox if it is the agent's own."""
        self.stop()
        box, self._own_box = self._own_box, None
        if box is not None:
            box.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- inside ---

    def _alone(self, prepare: Callable[[], Generator[AgentEvent, None, Work]], stop: StopSignal | None,
               generation: GenerationOptions | None = None) -> Iterator[AgentEvent]:
        if not self._working.acquire(blocking=False):
            raise EngineBusy("this agent is at work", "Stop it, or wait for its end.")
        try:
            self._stop = stop or StopSignal()
            writer = Writer(self.provider, generation or self.options.generation, self._window, self._stop)
            work = self._work = yield from prepare()
            yield from Loop(writer, self._box, self.options, self._stop).drive(work, self._past)
            self._window = writer.window
        finally:
            self._working.release()

    def _begun(self, task: str, files: list[Path]) -> Generator[AgentEvent, None, Work]:
        shown = previews(files)
        if files:
            yield from self._put(files)
        if self._work is not None and self._work.exchange.reply:
            self._past.append(self._work.exchange)
        return Work(task, task_text(task, shown), self.options.max_repairs)

    def _put(self, files: list[Path]) -> Generator[AgentEvent, None, None]:
        """Copy into the sandbox's folder. Without a sandbox nothing will run, so nothing is copied: a program is still written."""
        with suppress(SandboxUnavailable):
            box = yield from opened(self._box, self._stop)
            if box is not None:
                for file in files:
                    put_file(file, box.folder)

    def _given(self, code: str, max_repairs: int) -> Generator[AgentEvent, None, Work]:
        yield from ()
        work = self._work or Work("", task_text(""), max_repairs)
        if code != work.waiting_code:
            work.prose = ""         # it spoke of another program
        work.waiting_code, work.repairs_left, work.wants_words = code, max_repairs, max_repairs > 0
        return work

    def _box(self) -> Sandbox:
        """Raises SandboxUnavailable."""
        if self._given_box is not None:
            return self._given_box
        if self._own_box is None:
            from ..sandbox import open_sandbox

            self._own_box = open_sandbox()
        return self._own_box


def _at_once(work: Work) -> Generator[AgentEvent, None, Work]:
    yield from ()
    return work


def _last(events: Iterator[AgentEvent]) -> Final | Stopped:
    *_, last = events
    assert isinstance(last, Final | Stopped), "a task ends with Final or Stopped, or an exception"
    return last
