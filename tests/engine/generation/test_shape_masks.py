"""Masks of tokens: with tokens of bytes, with byte fallback, in both lanes, and for shapes that cost too much."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from engine import GenerationOptions
from engine.errors import GenerationFailed
from engine.generation import shape_masks
from engine.generation.base import Ended, NewTokens, TokenGenerator
from engine.generation.batched import BatchedGenerator
from engine.generation.lanes import LaneOptions, open_lane
from engine.generation.sequence import Sequence
from engine.generation.shape_masks import ShapedAnswer, Shapes
from engine.generation.single import SingleGenerator
from engine.generation.thought_limit import ThoughtsBeforeShape
from engine.shapes import InvalidShape, Shape
from tests import tiny_models

from .test_text import byte_fallback_tokenizer

TOKENIZER, END = tiny_models.tokenizer(), frozenset((1,))
PROMPT = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14] * 2
NUMBERS = Shape.of_schema({"type": "object", "properties": {"n": {"type": "integer"}, "tags": {"type": "array", "items": {
    "type": "string", "maxLength": 4}, "maxItems": 2}}, "required": ["n", "tags"], "additionalProperties": False})


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    return Shapes(TOKENIZER, END, 500)


def texts(answer: ShapedAnswer, tokenizer: PreTrainedTokenizerFast, width: int) -> set[str]:
    """The tokens that may come next."""
    return {tokenizer.decode([token]) for token in answer.allowed(width).nonzero()[0].tolist()}


def answer_in(shape: Shape, shapes: Shapes, begun: str = "") -> ShapedAnswer:
    made = ShapedAnswer(shape, begun)
    made.compile(shapes)
    return made


def test_a_reply_can_end_only_where_its_shape_does(shapes: Shapes) -> None:
    answer = answer_in(Shape.of_choices(["no", "not"]), shapes)
    assert "n" in texts(answer, TOKENIZER, 400)
    assert not answer.allowed(400)[1]
    answer.add(*TOKENIZER("no", add_special_tokens=False)["input_ids"])
    assert answer.is_complete
    assert texts(answer, TOKENIZER, 400) == {"t", "<|im_end|>"}
    answer.add(*TOKENIZER("t", add_special_tokens=False)["input_ids"])
    assert texts(answer, TOKENIZER, 400) == {"<|im_end|>"}


def test_masks_that_take_long_are_computed_by_another_thread(shapes: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape_masks, "SLOW_S", 0.0)
    names, compute = [], shape_masks._advanced
    monkeypatch.setattr(shape_masks, "_advanced", lambda *given: (names.append(threading.current_thread().name), compute(*given))[1])
    slow = answer_in(NUMBERS, shapes)
    tokens = shapes.encode('{"n": 12, "tags": ["a"')
    for token in tokens:
        assert slow.allowed(400)[token]
        slow.add(token)
    assert texts(slow, TOKENIZER, 400) >= {",", "]"}
    assert {name.partition("_")[0] for name in names[1:]} == {"shapes"}


def test_a_mask_has_the_width_of_the_logits(shapes: Shapes) -> None:
    answer = answer_in(Shape("json"), shapes)
    assert [len(answer.allowed(width)) for width in (300, 400, 600)] == [300, 400, 600]
    assert answer.allowed(600)[400:].sum() == 0        # no text belongs to them


@pytest.mark.parametrize("tokenizer", [TOKENIZER, byte_fallback_tokenizer()], ids=["bytes", "byte fallback"])
def test_a_character_of_several_tokens_can_be_written(tokenizer: PreTrainedTokenizerFast) -> None:
    """Token by token, each of which the mask must allow: a character between two spaces."""
    made = Shapes(tokenizer, (1,), 0)
    answer = answer_in(Shape("regex", "x €\u4f60?"), made)
    for token in made.encode("x €\u4f60"):
        assert answer.allowed(600)[token]
        answer.add(token)
    assert answer.is_complete


def test_an_answer_that_has_begun_goes_on_in_its_shape(shapes: Shapes) -> None:
    answer = answer_in(NUMBERS, shapes, '{"n": 1')
    assert {",", "1"} <= texts(answer, TOKENIZER, 400)
    assert "}" not in texts(answer, TOKENIZER, 400)
    with pytest.raises(InvalidShape, match="beginning"):
        answer_in(NUMBERS, shapes, "Sure! ")


@pytest.mark.parametrize(("shape", "why"), [
    (Shape.of_schema({"properties": {"a": {"type": "array", "uniqueItems": True}}}), '"uniqueItems"'),
    (Shape.of_schema({"type": "text"}), "Invalid type: text"), (Shape.of_schema({"$ref": "https://example.org/x"}), "example.org"),
    (Shape.of_schema({"type": "string", "minLength": 3, "maxLength": 2}), "minLength"), (Shape("regex", "a(b"), "unclosed group"),
    (Shape("regex", "(?=a)b"), "look-around"), (Shape.of_schema({"enum": []}), "empty")])
def test_a_shape_that_is_not_supported_is_refused_by_what_is_wrong_in_it(shapes: Shapes, shape: Shape, why: str) -> None:
    with pytest.raises(InvalidShape, match=why):
        shapes.begin(shape)


def test_a_shape_that_costs_too_much_ends_its_own_reply(shapes: Shapes) -> None:
    answer = answer_in(Shape("regex", "(a{1000}){1000}"), shapes)
    answer.add(*TOKENIZER("a" * 3, add_special_tokens=False)["input_ids"])
    with pytest.raises(GenerationFailed, match="shape"):
        answer.allowed(400)
    assert not answer.is_complete


def test_a_model_that_never_ends_a_reply_has_no_shapes() -> None:
    with pytest.raises(InvalidShape, match="ends a reply"):
        Shapes(TOKENIZER, (), 400).begin(Shape("json"))


def test_an_answer_is_compiled_again_in_another_process(shapes: Shapes) -> None:
    copied = pickle.loads(pickle.dumps(answer_in(Shape.of_choices(["no"]), shapes)))
    shapes.forked()
    copied.compile(shapes)
    assert copied.allowed(400).sum() == answer_in(Shape.of_choices(["no"]), shapes).allowed(400).sum() > 0


# --- in the lanes ---

@pytest.fixture(scope="module")
def model(llama_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def batched(llama_folder: Path) -> Iterator[BatchedGenerator]:
    model = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32).eval()
    generator = open_lane(model, LaneOptions(512, 2048, 2, END, 0)).generator
    assert isinstance(generator, BatchedGenerator)
    yield generator
    generator.close()


def expected(model: PreTrainedModel, shapes: Shapes, shape: Shape, most: int) -> list[int]:
    """Greedy: at each place the likeliest of the tokens that the library allows there."""
    ids, matcher = list(PROMPT), shapes.begin(shape)
    while len(ids) < len(PROMPT) + most and ids[-1] not in END:
        with torch.no_grad():
            row = model(torch.tensor([ids])).logits[0, -1]
        bits = matcher.compute_bitmask()
        ids.append(max((token for token in range(len(row)) if bits[token // 8] >> token % 8 & 1), key=lambda token: float(row[token])))
        matcher.consume_token(ids[-1])
    return ids[len(PROMPT):]


def reply(generator: TokenGenerator, shapes: Shapes, shape: Shape, thoughts: Any = None, **options: object) -> tuple[list[int], Ended]:
    asked = GenerationOptions(**{"max_new_tokens": 60, "temperature": 0.0, "shape": shape, **options})
    events = list(generator.stream(PROMPT, asked, thoughts=thoughts, answer=answer_in(shape, shapes)))
    assert isinstance(events[-1], Ended)
    return [token for event in events if isinstance(event, NewTokens) for token in event.ids], events[-1]


@pytest.mark.parametrize("most", [60, 6])
def test_both_lanes_write_the_likeliest_answer_in_the_shape(batched: BatchedGenerator, model: PreTrainedModel, shapes: Shapes,
                                                            most: int) -> None:
    single = SingleGenerator(model, 512, END, 0, can_slice=True)
    for generator in (batched, single):
        ids, ended = reply(generator, shapes, NUMBERS, max_new_tokens=most)
        assert ids == expected(model, shapes, NUMBERS, most)
        assert ended == (Ended("length", lacks_shape=True) if ids[-1] not in END else Ended("stop"))


def test_guesses_change_nothing_in_an_answer(batched: BatchedGenerator, shapes: Shapes) -> None:
    shape = Shape("regex", "(abc ){12}")        # repeats itself, so it is guessed
    drawn = {"temperature": 1.0, "seed": 5, "repetition_penalty": 1.1}
    guessed = reply(batched, shapes, shape, **drawn)
    batched._scheduler._guesses = False
    assert reply(batched, shapes, shape, **drawn) == guessed
    batched._scheduler._guesses = True
    assert TOKENIZER.decode(guessed[0], skip_special_tokens=True) == "abc " * 12


def test_a_complete_answer_that_uses_its_last_token_lacks_nothing(batched: BatchedGenerator, shapes: Shapes) -> None:
    ids, ended = reply(batched, shapes, Shape.of_choices(["abc"]))
    assert reply(batched, shapes, Shape.of_choices(["abc"]), max_new_tokens=len(ids) - 1)[1] == Ended("length")
    assert ended == Ended("stop")


def test_a_reply_whose_shape_costs_too_much_ends_alone(batched: BatchedGenerator, shapes: Shapes) -> None:
    with pytest.raises(GenerationFailed, match="shape"):
        reply(batched, shapes, Shape("regex", "(a{1000}){1000}"))
    assert reply(batched, shapes, Shape.of_choices(["abc"]))[1] == Ended("stop")


# --- after thoughts ---

def thoughts(budget: int, *, is_open: bool = True, opens: str = "") -> ThoughtsBeforeShape:
    def ids(text: str) -> list[int]:
        return TOKENIZER(text, add_special_tokens=False)["input_ids"] if text else []

    return ThoughtsBeforeShape(budget, "<think>", "</think>", ids("\n</think>\n\n"), TOKENIZER.decode, is_open=is_open, opens=ids(opens),
                               follows=ids("\n\n"))


def test_only_what_follows_the_thoughts_has_the_shape(batched: BatchedGenerator, shapes: Shapes) -> None:
    ids, ended = reply(batched, shapes, NUMBERS, thoughts(10))
    thought, _, answer = TOKENIZER.decode(ids, skip_special_tokens=True).partition("\n</think>\n\n")
    assert thought
    assert ended == Ended("stop") or ended.lacks_shape
    assert answer.startswith("{")
    assert ended.lacks_shape or set(json.loads(answer)) == {"n", "tags"}
    assert reply(batched, shapes, NUMBERS, thoughts(1000))[1] == Ended("length", lacks_shape=True)


def test_thoughts_are_not_the_end_of_a_reply_in_a_shape(shapes: Shapes) -> None:
    options = GenerationOptions(shape=NUMBERS)
    sequence = Sequence([*PROMPT], len(PROMPT), options, END, thoughts=thoughts(10), answer=answer_in(NUMBERS, shapes))
    assert (~sequence.allowed(400)).nonzero()[0].tolist() == [1]


def test_a_reply_begins_with_thoughts_or_with_its_answer(shapes: Shapes) -> None:
    made = thoughts(10, is_open=False, opens="<think>\n")
    first, *rest = TOKENIZER("<think>\n", add_special_tokens=False)["input_ids"]
    assert (made.opening, made.required, made.may_answer) == (first, None, True)
    made.add(first)
    for token in rest:
        assert made.required == token
        made.add(token)
    assert (made.opening, made.required, made.may_answer) == (None, None, False)
    other = thoughts(10, is_open=False, opens="<think>\n")
    other.add(5)
    assert (other.opening, other.may_answer) == (None, True)


def test_thoughts_that_the_model_ends_are_followed_by_what_the_template_writes(shapes: Shapes) -> None:
    made = thoughts(100)
    for token in TOKENIZER("a fox</think>", add_special_tokens=False)["input_ids"]:
        made.add(token)
    written = []
    while (required := made.required) is not None:
        written.append(required)
        made.add(required)
    assert TOKENIZER.decode(written) == "\n\n"
    assert made.may_answer
    assert made.spilled == ""
