"""Stop ends generation and programs within a second; heartbeats interrupt silence; one task at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import Finished, GenerationOptions, Message, StreamEvent, TextDelta, Usage, Waiting
from engine.agent.code_agent import CodeAgent
from engine.agent.events import AgentEvent, Final, Running, Stopped, Writing
from engine.background import StopSignal
from engine.errors import EngineBusy

from .conftest import BAD, GOOD, ScriptedModel, UnconfinedSandbox

NewAgent = Callable[..., CodeAgent]


def stopped_after(events: Iterator[AgentEvent], kind: type, stop: Callable[[], None]) -> tuple[AgentEvent, float]:
    """The last event, and the seconds from the stop until it."""
    started = 0.0
    last: AgentEvent | None = None
    for last in events:
        if isinstance(last, kind) and not started:
            started = time.monotonic()
            stop()
    assert last is not None
    return last, time.monotonic() - started


def test_stop_ends_generation(new_agent: NewAgent) -> None:
    model = ScriptedModel(endless=True)
    agent = new_agent(model)
    last, seconds = stopped_after(agent.stream("x"), Writing, agent.stop)
    assert isinstance(last, Stopped)
    assert last.reason == "stopped"
    assert seconds < 1
    assert model.is_closed.is_set()


def test_an_event_of_the_caller_also_stops_the_agent(new_agent: NewAgent) -> None:
    stop = StopSignal()
    last, seconds = stopped_after(new_agent(ScriptedModel(endless=True)).stream("x", stop=stop), Writing, stop.set)
    assert isinstance(last, Stopped)
    assert seconds < 1


def test_stop_interrupts_the_program(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    agent = new_agent(ScriptedModel("```python\nhang()\n```"))
    last, seconds = stopped_after(agent.stream("x"), Running, agent.stop)
    assert isinstance(last, Stopped)
    assert (last.reason, sandbox.interrupts) == ("stopped", 1)
    assert seconds < 1


def test_a_stopped_program_runs_again_when_the_task_continues(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    model = ScriptedModel("Look.\n```python\nhang()\n```")
    agent = new_agent(model, max_repairs=0)
    stopped_after(agent.stream("x"), Running, agent.stop)
    list(agent.resume())
    assert (sandbox.ran, model.calls) == (["hang()", "hang()"], 1)


def test_stop_during_a_repair_keeps_the_best_attempt(new_agent: NewAgent) -> None:
    agent = new_agent(ScriptedModel(BAD, endless=True))
    last, _ = stopped_after(agent.stream("x"), Running, lambda: threading.Timer(0.2, agent.stop).start())
    assert isinstance(last, Stopped)
    assert last.best is not None
    assert last.best.code == "print(undefined)"


def test_a_stopped_task_can_continue(new_agent: NewAgent) -> None:
    model = ScriptedModel(endless=True)
    agent = new_agent(model)
    stopped_after(agent.stream("x"), Writing, agent.stop)
    model.script = [f"Look.\n{GOOD}"]
    assert isinstance(list(agent.resume())[-1], Final)


def test_leaving_early_stops_the_model(new_agent: NewAgent) -> None:
    model = ScriptedModel(endless=True)
    events = new_agent(model).stream("x")
    assert any(isinstance(next(events), Writing) for _ in range(5))
    events.close()      # type: ignore[attr-defined]
    assert model.is_closed.wait(1)


class SlowModel:
    """Silent for a while, as during a load that blocks."""

    name = "slow"

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        time.sleep(0.5)
        yield TextDelta("Paris.")
        yield Finished("stop", Usage(1, 0, 1, 0.5, 0.0))


def test_heartbeats_are_sent_during_silence(new_agent: NewAgent) -> None:
    heard, gaps = time.monotonic(), []
    for event in new_agent(SlowModel()).stream("x"):
        now = time.monotonic()
        if isinstance(event, Waiting):
            gaps.append(now - heard)
        heard = now
    assert len(gaps) >= 3
    assert max(gaps) < 0.4


def test_stop_does_not_wait_for_a_silent_model(new_agent: NewAgent) -> None:
    agent = new_agent(SlowModel())
    last, seconds = stopped_after(agent.stream("x"), Waiting, agent.stop)
    assert isinstance(last, Stopped)
    assert seconds < 1


def test_a_second_task_at_the_same_time_is_refused(new_agent: NewAgent) -> None:
    agent = new_agent(ScriptedModel(endless=True))
    events = agent.stream("x")
    next(events)
    with pytest.raises(EngineBusy):
        next(agent.stream("y"))
    events.close()      # type: ignore[attr-defined]


def test_a_cancelled_process_stops_the_model(new_agent: NewAgent) -> None:
    model = ScriptedModel(endless=True)

    async def cancelled() -> None:
        task = asyncio.create_task(new_agent(model).process("x"))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ThreadPoolExecutor(1) as own_thread:       # in this one a browser test may have left its event loop
        own_thread.submit(asyncio.run, cancelled()).result()
    assert model.is_closed.wait(1)
