"""What a reply counts for its visitor, also if it is left before its end."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, GenerationOptions, Message, Settings, TextDelta
from engine.errors import InvalidRequest
from engine.limits import Limits


@pytest.fixture
def engine(new_engine: Callable[..., Engine], llama_folder: Path, settings: Settings, tmp_path: Path) -> Engine:
    return new_engine(llama_folder, replace(settings, data_dir=tmp_path, limits=Limits(message_chars=100)))


def test_a_reply_that_is_left_counts_what_it_made(engine: Engine) -> None:
    events = engine.chat("hello there", GenerationOptions(max_new_tokens=60, temperature=0.0), visitor="ann")
    seen = 0
    for event in events:
        seen += isinstance(event, TextDelta)
        if seen == 5:
            break
    events.close()
    [use] = engine.visitors.today()
    assert use.running == 0
    assert use.tokens >= 5


@pytest.mark.parametrize("messages", [
    [Message("user", "x" * 101), Message("assistant", "A")], [Message("system", "x" * 90), Message("user", "x" * 20)]])
def test_a_long_request_is_refused_however_it_is_cut(engine: Engine, messages: list[Message]) -> None:
    with pytest.raises(InvalidRequest, match="characters long"):
        list(engine.chat(messages, visitor="ann"))


def test_earlier_turns_do_not_count(engine: Engine) -> None:
    earlier = [Message("user", "x" * 90), Message("assistant", "x" * 90)]
    assert list(engine.chat([*earlier, Message("user", "hello")], GenerationOptions(max_new_tokens=2), visitor="ann"))
