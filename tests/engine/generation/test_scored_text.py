"""Each token's log probability arrives with the text that the token belongs to."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from engine import Engine, Finished, GenerationOptions, Message, ReasoningDelta, TextDelta
from engine.errors import InvalidRequest, MessageTooLong
from engine.generation.base import Score
from engine.generation.scored_text import ScoredText, TokenBytes
from engine.generation.text import IncrementalDecoder, ReasoningSplitter, StopStrings
from tests.tiny_models import tokenizer

TOKENIZER = tokenizer()


def pieces(text: str, stops: tuple[str, ...] = (), splitter: ReasoningSplitter | None = None) -> list[TextDelta | ReasoningDelta]:
    """What a reply of these tokens, each with a score, would stream."""
    decoder, held, split = IncrementalDecoder(TOKENIZER, {}), StopStrings(stops), splitter or ReasoningSplitter()
    scored, shown, found = ScoredText(TOKENIZER), 0, []
    for number, token in enumerate(TOKENIZER(text)["input_ids"]):
        decoded = decoder.feed((token,))
        scored.add(token, Score(-number, ((token, -number),)), decoded)
        passed = held.feed(decoded)
        shown += len(passed)
        found += [scored.attach(piece, shown - split.num_held) for piece in split.feed(passed)]
    return found + [scored.attach(piece, shown) for piece in split.flush()]


def bytes_of(found: list[TextDelta | ReasoningDelta], kind: type) -> bytes:
    return b"".join(token.data for piece in found if isinstance(piece, kind) for token in piece.tokens)


@pytest.mark.parametrize("text", ["hello again", "merhaba dünya, iyi günler", "你好 世界", "a 🙂 of several tokens"])
def test_the_bytes_of_the_tokens_are_those_of_the_text(text: str) -> None:
    assert bytes_of(pieces(text), TextDelta).decode() == text


def test_no_token_of_a_stop_string_is_reported() -> None:
    found = pieces("one two three", stops=(" two",))
    assert "".join(piece.text for piece in found) == "one"
    assert bytes_of(found, TextDelta) == b"one"


def test_tokens_of_thoughts_and_of_the_answer_are_apart_and_those_of_marks_left_out() -> None:
    found = pieces("<think>the lazy dog</think>the quick fox")
    assert bytes_of(found, ReasoningDelta) == b"the lazy dog"
    assert bytes_of(found, TextDelta) == b"the quick fox"


def test_bytes_of_sentencepiece_tokens() -> None:
    core = Tokenizer(models.BPE({"<0xE4>": 0, "▁hi": 1, "<s>": 2}, [], byte_fallback=True))
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    found = TokenBytes(PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>"))
    assert [found.of(token) for token in range(3)] == [b"\xe4", b" hi", b"<s>"]


def test_a_reply_brings_the_scores_that_were_asked_for(llama_engine: Engine) -> None:
    events = list(llama_engine.chat([Message("user", "hi")], GenerationOptions(max_new_tokens=12, temperature=0.0, top_logprobs=3)))
    tokens = [token for event in events if isinstance(event, TextDelta) for token in event.tokens]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert b"".join(token.data for token in tokens).decode(errors="replace").startswith(text)
    for token in tokens:
        assert len(token.likeliest) == 3
        assert token.log_probability == token.likeliest[0][2] <= 0       # greedy: the likeliest one
        assert sum(math.exp(value) for *_, value in token.likeliest) <= 1 + 1e-6


def test_without_being_asked_for_there_are_no_scores(llama_engine: Engine) -> None:
    events = llama_engine.chat([Message("user", "hi")], GenerationOptions(max_new_tokens=4, temperature=0.0))
    assert not any(event.tokens for event in events if isinstance(event, TextDelta))


def test_a_text_is_continued_without_template(llama_engine: Engine, llama_folder: Path) -> None:
    options = GenerationOptions(max_new_tokens=6, temperature=0.0, ignores_end=True)
    by_text = list(llama_engine.complete("the quick brown", options))
    ids = TOKENIZER("the quick brown", add_special_tokens=False)["input_ids"]
    by_ids = list(llama_engine.complete(ids, options))
    assert isinstance(by_text[-1], Finished)
    assert isinstance(by_ids[-1], Finished)
    assert by_text[-1].usage.prompt_tokens == by_ids[-1].usage.prompt_tokens == len(ids)
    assert [event for event in by_text if isinstance(event, TextDelta)] == [event for event in by_ids if isinstance(event, TextDelta)]


def test_a_text_to_continue_has_limits(llama_engine: Engine) -> None:
    with pytest.raises(InvalidRequest):
        list(llama_engine.complete(""))
    with pytest.raises(InvalidRequest):
        list(llama_engine.complete([5, -7]))
    with pytest.raises(MessageTooLong):
        list(llama_engine.complete("the lazy dog " * 400))
