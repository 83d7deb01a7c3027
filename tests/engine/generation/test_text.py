import pytest

from engine.generation.text import IncrementalDecoder, ReasoningSplitter, StopStrings
from engine.messages import ReasoningDelta, TextDelta
from tests import tiny_models


def split(pieces: list[str], is_open: bool = False) -> tuple[str, str]:
    splitter = ReasoningSplitter("</think>" if is_open else "")
    events = [event for piece in pieces for event in splitter.feed(piece)] + list(splitter.flush())
    return ("".join(event.text for event in events if isinstance(event, ReasoningDelta)),
            "".join(event.text for event in events if isinstance(event, TextDelta)))


@pytest.mark.parametrize("text", ["dünya ağaç", "你好，世界", "👩‍🚀 ok", "plain"])
def test_decoding_shows_whole_characters_only_and_loses_none(text: str) -> None:
    tokenizer = tiny_models.tokenizer()
    decoder = IncrementalDecoder(tokenizer)
    pieces = [decoder.feed([token_id]) for token_id in tokenizer(text)["input_ids"]]
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) + decoder.flush() == text


def test_an_incomplete_character_at_the_end_is_not_shown() -> None:
    tokenizer = tiny_models.tokenizer()
    decoder = IncrementalDecoder(tokenizer)
    ids = tokenizer("ok 🚀")["input_ids"]
    shown = decoder.feed(ids[:-1]) + decoder.flush()
    assert shown.strip() == "ok"


@pytest.mark.parametrize("cuts", [["abc STOP def"], ["abc S", "TO", "P def"], list("abc STOP def")])
def test_nothing_of_a_stop_string_is_ever_shown(cuts: list[str]) -> None:
    stops = StopStrings(["STOP"])
    assert "".join(stops.feed(piece) for piece in cuts) == "abc "
    assert stops.is_hit


def test_the_beginning_of_a_stop_string_is_shown_if_the_rest_does_not_follow() -> None:
    stops = StopStrings(["STOP", "\nUser:"])
    assert stops.feed("ab ST") + stops.feed("ART\nUs") + stops.flush() == "ab START\nUs"
    assert not stops.is_hit


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_reasoning_is_separated_however_the_text_is_divided(step: int) -> None:
    text = "<think>\nfirst this\n</think>\n\nThe answer."
    assert split([text[i:i + step] for i in range(0, len(text), step)]) == ("first this\n", "The answer.")


def test_a_block_opened_by_the_prompt_is_reasoning() -> None:
    assert split(["so ", "far</thi", "nk>done"], is_open=True) == ("so far", "done")


def test_a_block_that_is_never_closed_is_reasoning() -> None:
    assert split(["<think>on and", " on </th"]) == ("on and on </th", "")


def test_a_tag_in_the_middle_of_an_answer_is_text() -> None:
    assert split(["Use <think> tags", " like </think>."]) == ("", "Use <think> tags like </think>.")


def test_a_single_angle_bracket_is_not_held_back_for_ever() -> None:
    assert split(["<", "b>bold"]) == ("", "<b>bold")
