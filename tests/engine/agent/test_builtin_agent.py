"""The built-in model and a real sandbox, no network: a program, a repair, and a program that never ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from engine import Engine, Finished, GenerationOptions, LocalModelProvider, Message, StreamEvent, TextDelta, Usage
from engine.agent.code_agent import CodeAgent
from engine.agent.events import Final, Running, StepError, Stopped
from engine.errors import SandboxUnavailable
from engine.sandbox import open_sandbox

from .conftest import ScriptedModel, of_kind


class FirstReplyGiven:
    """The real model, except that its first reply is given."""

    name = "built-in"

    def __init__(self, provider: LocalModelProvider, first: str) -> None:
        self._provider, self._first = provider, [first]

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        if not self._first:
            yield from self._provider.chat(messages, options)
            return
        yield TextDelta(self._first.pop())
        yield Finished("stop", Usage(0, 0, 0, 0.0, 0.0))


@pytest.fixture(autouse=True, scope="module")
def _needs_a_sandbox() -> None:
    try:
        open_sandbox().close()
    except SandboxUnavailable as reason:
        pytest.skip(str(reason))


def test_the_built_in_model_answers_with_a_program_and_its_output(builtin_engine: Engine) -> None:
    with CodeAgent(llm_provider=LocalModelProvider(engine=builtin_engine)) as agent:
        final = list(agent.stream("print the factorial of 7"))[-1]
    assert isinstance(final, Final)
    assert final.stdout == "5040\n"


def test_the_built_in_model_repairs_a_name_error(builtin_engine: Engine) -> None:
    broken = "Here is the program:\n\n```python\nresult = 1\nfor i in range(2, 7 + 1):\n    reslt *= i\nprint(result)\n```"
    with CodeAgent(llm_provider=FirstReplyGiven(LocalModelProvider(engine=builtin_engine), broken)) as agent:
        events = list(agent.stream("print the factorial of 7"))
    assert "NameError: name 'reslt' is not defined" in of_kind(events, StepError)[0].text      # type: ignore[attr-defined]
    assert isinstance(events[-1], Final)
    assert events[-1].stdout == "5040\n"


@pytest.mark.parametrize("code", ["while True:\n    pass", "sum(range(10**12))"])
def test_stop_ends_a_real_program_within_a_second(code: str) -> None:
    with CodeAgent(llm_provider=ScriptedModel(f"```python\n{code}\n```")) as agent:
        stopped_at = [0.0]

        def stop() -> None:
            stopped_at[0] = time.monotonic()
            agent.stop()

        for event in agent.stream("x"):
            if isinstance(event, Running):
                threading.Timer(0.3, stop).start()
    assert isinstance(event, Stopped)
    assert event.reason == "stopped"
    assert time.monotonic() - stopped_at[0] < 1
