import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import Engine, LocalModelProvider
from engine.errors import InvalidRequest


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


def test_two_quantizations_at_once_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="load_in_8bit"):
        LocalModelProvider(load_in_4bit=True, load_in_8bit=True)
