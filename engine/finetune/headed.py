"""Encodes examples for models with a head: one label for a text, one for each word, or the place of an answer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from .encoded import IGNORED, Encoded
from .examples import Answered, ClassifiedText, TaggedWords

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STRIDE = 128            # tokens that two windows of a context share, as in BERT's own code for SQuAD
ELSEWHERE = (-1, -1)
BETWEEN = "\n"          # two texts, where the tokenizer puts nothing between them


def joined(tokenizer: PreTrainedTokenizerBase, text: str, second_text: str) -> tuple[str, str | None]:
    """What to give to the tokenizer for two texts: tokenizers of decoders would write one directly after the other."""
    if second_text and tokenizer.num_special_tokens_to_add(pair=True) <= tokenizer.num_special_tokens_to_add(pair=False):
        return f"{text}{BETWEEN}{second_text}", None
    return text, second_text or None


def classified(example: ClassifiedText, at: int, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Encoded:
    """The end of what is too long is cut, of the longer text first; the tokenizer's own special tokens stay."""
    text, pair = joined(tokenizer, example.text, example.second_text)
    found = tokenizer(text, pair, truncation=True, max_length=max_tokens, verbose=False)
    return Encoded(at, _filled(found["input_ids"], tokenizer), found.get("token_type_ids", ()), label=example.label)


def _filled(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """At least one token, also for a text of which the tokenizer knows nothing."""
    if ids:
        return ids
    other = next((each for each in (tokenizer.unk_token_id, tokenizer.eos_token_id) if each is not None), 0)
    return [int(other)]


def tagged(example: TaggedWords, at: int, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Encoded:
    """Words are joined by spaces. The first token of each has its tag; the others, the special tokens, and words without a token, none.

    Raises InvalidRequest for a tokenizer that does not say which characters a token has.
    """
    text = " ".join(example.words)
    found = _with_offsets(tokenizer, text, None, max_tokens)
    starts = [*accumulate((len(word) + 1 for word in example.words[:-1]), initial=0)]
    labels, words, last = [], list[int](), -1
    for begin, end in found["offset_mapping"][0]:
        begin += len(text[begin:end]) - len(text[begin:end].lstrip())       # a space before a word is a part of its token
        at_word = bisect_right(starts, begin) - 1 if begin < end else last
        labels.append(example.tags[at_word] if at_word != last else IGNORED)
        words += [at_word] if at_word != last else []
        last = at_word
    return Encoded(at, found["input_ids"][0], found.get("token_type_ids", [()])[0], labels=labels, words=words)


def answered(example: Answered, at: int, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[Encoded]:
    """One row for each window of the context. Its answer is the first one that lies wholly in it; without one, start and end are 0, the
    place of [CLS]. Raises InvalidRequest for a question that leaves no room for a context.
    """
    asked = len(tokenizer(example.question, verbose=False)["input_ids"]) + tokenizer.num_special_tokens_to_add(pair=True)
    if asked > max_tokens // 2 + tokenizer.num_special_tokens_to_add(pair=True):
        raise InvalidRequest("question", f"{asked:,} tokens in row {example.row:,}", f"at most {max_tokens // 2:,} tokens")
    found = _with_offsets(tokenizer, example.question, example.context, max_tokens, min(STRIDE, (max_tokens - asked) // 2))
    rows = []
    for number, ids in enumerate(found["input_ids"]):
        parts = found.sequence_ids(number)
        offsets = [pair if part == 1 else ELSEWHERE for pair, part in zip(found["offset_mapping"][number], parts, strict=True)]
        start, end = next(filter(None, (_span(offsets, text, place) for text, place in example.answers)), (0, 0))
        rows.append(Encoded(at, ids, found["token_type_ids"][number] if "token_type_ids" in found else (), start=start, end=end,
                            offsets=offsets))
    return rows


def _span(offsets: Sequence[tuple[int, int]], answer: str, place: int) -> tuple[int, int] | None:
    """The first and the last token of an answer; None if this window does not hold all of it."""
    inside = [at for at, (begin, end) in enumerate(offsets) if end > place and begin < place + len(answer) and begin >= 0 and end > begin]
    if not inside or offsets[inside[0]][0] > place or offsets[inside[-1]][1] < place + len(answer):
        return None
    return inside[0], inside[-1]


def _with_offsets(tokenizer: PreTrainedTokenizerBase, text: str, pair: str | None, max_tokens: int, stride: int | None = None) -> Any:
    """Lists of one row, or of several with a stride. Raises InvalidRequest."""
    if not tokenizer.is_fast:
        raise InvalidRequest("base", f"a model whose tokenizer is {type(tokenizer).__name__}",
                             "one with a tokenizer.json, which says which characters each token has")
    windows = {} if stride is None else {"stride": stride, "return_overflowing_tokens": True}
    return tokenizer([text], None if pair is None else [pair], truncation=True if pair is None else "only_second", max_length=max_tokens,
                     return_offsets_mapping=True, verbose=False, **windows)
