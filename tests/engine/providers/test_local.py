import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine import Engine, LocalModelProvider
from engine.errors import InvalidRequest
from tests import thinking_templates as templates
from tests import tiny_models


def run(coroutine: Coroutine[object, object, str]) -> str:
    """Run it in another thread, because the browser tests have an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def test_generate_answers_and_shares_the_loaded_model(builtin_engine: Engine) -> None:
    before = builtin_engine._model
    provider = LocalModelProvider(engine=builtin_engine)
    text = run(provider.generate("hello", temperature=0.0, max_tokens=40))
    assert text
    assert builtin_engine._model is before


def test_stream_gives_the_same_text_in_pieces(builtin_engine: Engine) -> None:
    provider = LocalModelProvider(engine=builtin_engine)

    async def pieces() -> str:
        return "|".join([piece async for piece in provider.stream("hello", temperature=0.0, max_tokens=40)])

    got = run(pieces())
    assert "|" in got
    assert got.replace("|", "") == run(provider.generate("hello", temperature=0.0, max_tokens=40))


def test_leaving_a_stream_early_stops_the_model(builtin_engine: Engine) -> None:
    provider = LocalModelProvider(engine=builtin_engine)

    async def first() -> str:
        stream = provider.stream("hello", temperature=0.0, max_tokens=400)
        async for piece in stream:
            await stream.aclose()       # type: ignore[attr-defined]
            return piece
        return ""

    assert run(first())
    assert builtin_engine.status().running == 0


def test_the_effort_and_the_budget_of_thought_reach_the_model(new_engine: Callable[..., Engine], tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path / "tiny-thinker", template=templates.SWITCH_OPEN)
    provider = LocalModelProvider(str(folder), engine=new_engine(folder))

    def answer(**thought: object) -> str:
        return run(provider.generate("hello world", temperature=0.0, max_tokens=40, **thought))    # type: ignore[arg-type]

    assert answer() == ""       # all of it is thoughts, which this model of random weights does not end
    assert answer(reasoning_effort="none")
    assert len(answer(reasoning_budget=0)) > len(answer(reasoning_budget=20)) > 0
    with pytest.raises(InvalidRequest, match="reasoning_effort"):
        answer(reasoning_effort="much")


def test_two_quantizations_at_once_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="load_in_8bit"):
        LocalModelProvider(load_in_4bit=True, load_in_8bit=True)
