import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from engine.generation.text import IncrementalDecoder, ReasoningSplitter, StopStrings, closing_mark, mark_tokens, opened_thought
from engine.messages import ReasoningDelta, TextDelta
from tests import tiny_models


def split(pieces: list[str], is_open: bool = False, may_close: str = "") -> tuple[str, str]:
    splitter = ReasoningSplitter("</think>" if is_open else "", may_close)
    events = [event for piece in pieces for event in splitter.feed(piece)] + list(splitter.flush())
    return ("".join(event.text for event in events if isinstance(event, ReasoningDelta)),
            "".join(event.text for event in events if isinstance(event, TextDelta)))


@pytest.mark.parametrize("text", ["dünya ağaç", "你好，世界", "👩‍🚀 ok", "plain"])
def test_decoding_shows_whole_characters_only_and_loses_none(text: str) -> None:
    tokenizer = tiny_models.tokenizer()
    decoder = IncrementalDecoder(tokenizer, mark_tokens(tokenizer))
    pieces = [decoder.feed([token_id]) for token_id in tokenizer(text)["input_ids"]]
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) + decoder.flush() == text


def test_an_incomplete_character_at_the_end_is_not_shown() -> None:
    tokenizer = tiny_models.tokenizer()
    decoder = IncrementalDecoder(tokenizer, mark_tokens(tokenizer))
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


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize(("text", "expected"), [
    ("[THINK]so far[/THINK]done", ("so far", "done")),
    ("<|START_THINKING|>so far<|END_THINKING|>done", ("so far", "done")),
    ("<|channel|>analysis<|message|>so far<|end|><|start|>assistant<|channel|>final<|message|>done", ("so far", "done")),
    ("<|channel|>final<|message|>done", ("", "done"))], ids=["mistral", "cohere", "gpt-oss", "gpt-oss without thoughts"])
def test_the_marks_of_every_family_separate_thoughts(step: int, text: str, expected: tuple[str, str]) -> None:
    assert split([text[i:i + step] for i in range(0, len(text), step)]) == expected


def test_thoughts_without_an_opening_mark_are_held_back_until_they_are_closed() -> None:
    assert split(["so ", "far", "</thi", "nk>done"], may_close="</think>") == ("so far", "done")


def test_an_answer_is_not_held_back_for_long() -> None:
    splitter = ReasoningSplitter(may_close="</think>")
    assert list(splitter.feed("word " * 20)) == []
    assert list(splitter.feed("word " * 20)) == [TextDelta("word " * 40)]


@pytest.mark.parametrize(("prompt", "mark"), [
    ("<think>\n", "</think>"), ("[THINK]", "[/THINK]"), ("<think>\n\n</think>\n\n", ""), ("hi", "")])
def test_a_prompt_that_opens_thoughts_names_their_end(prompt: str, mark: str) -> None:
    assert opened_thought(prompt) == mark


@pytest.mark.parametrize(("prompt", "mark"), [("assistant\n", "</think>"), ("assistant\n<think>\n\n</think>\n\n", "")])
def test_thoughts_may_be_closed_unless_the_prompt_closed_them(prompt: str, mark: str) -> None:
    tokenizer = tiny_models.tokenizer()
    assert closing_mark(mark_tokens(tokenizer), prompt) == ""
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    assert closing_mark(mark_tokens(tokenizer), prompt) == mark


def test_special_tokens_are_left_out_except_marks_of_thoughts() -> None:
    tokenizer = tiny_models.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    ids = tokenizer("<|im_start|>ok<think>hm</think>yes<|im_end|>")["input_ids"]
    assert IncrementalDecoder(tokenizer, mark_tokens(tokenizer)).feed(ids) == "ok<think>hm</think>yes"


def byte_fallback_tokenizer() -> PreTrainedTokenizerFast:
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *"abcxyz"]
    core = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[], byte_fallback=True, unk_token="<unk>"))
    core.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


@pytest.mark.parametrize(("tokens", "text"), [
    (["x", "<0xA1>", "z", "y"], "x\ufffdzy"), (["<0xFF>", "<0xFE>", "a"], "\ufffd\ufffda"),
    (["x", "<0xE2>", "<0x82>", "<0xAC>", "y"], "x€y"),
    (["x", "<0xE2>", "<0x82>", "y"], "x\ufffd\ufffdy"), (["x", "<0xE2>", "<0x82>"], "x")],
    ids=["stray", "never valid", "a character", "cut by a letter", "cut by the end"])
def test_bytes_that_form_no_character_are_replaced(tokens: list[str], text: str) -> None:
    tokenizer = byte_fallback_tokenizer()
    decoder = IncrementalDecoder(tokenizer, mark_tokens(tokenizer))
    assert decoder.feed(tokenizer.convert_tokens_to_ids(tokens)) + decoder.flush() == text
