"""How long the examples of a plan are in tokens, from a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .encoding import Encoder, token_limit
from .examples import Answered, ClassifiedText, Dialogue, Example, PlainText, Prepared, TaggedWords
from .plan import FineTunePlan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE, LONGEST = 300, 8        # examples that are encoded: spread over all, and the longest in characters
TOKEN_CHARS = 4                 # where there is no tokenizer yet: a usual value for English


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of token ids. `tokens`: of all training rows together, without what fills them up."""

    rows: int
    tokens: int
    held_rows: int
    held_tokens: int
    longest: int


def sizes_of(prepared: Prepared, plan: FineTunePlan, tokenizer: PreTrainedTokenizerBase | None) -> Sizes:
    """Raises what `encode` raises."""
    rows, tokens, longest = _measured(prepared.train, plan, tokenizer)
    held_rows, held_tokens, held_longest = _measured(prepared.validation, plan, tokenizer)
    return Sizes(rows, tokens, held_rows, held_tokens, max(longest, held_longest))


def _measured(examples: Sequence[Example], plan: FineTunePlan, tokenizer: PreTrainedTokenizerBase | None) -> tuple[int, int, int]:
    """Rows, tokens, and the longest row."""
    if not examples:
        return 0, 0, 0
    limit = plan.options.max_tokens or 1
    sample = examples[::max(1, -(-len(examples) // SAMPLE))]
    longest = sorted(examples, key=_chars)[-LONGEST:]
    if tokenizer is None:
        mean = min(limit, sum(map(_chars, sample)) / len(sample) / TOKEN_CHARS)
        return len(examples), round(mean * len(examples)), min(limit, _chars(longest[-1]) // TOKEN_CHARS + 1)
    encoder, limit = Encoder(tokenizer, plan.task), token_limit(plan, tokenizer)
    scale = len(examples) / len(sample)
    lengths = [len(row.input_ids) for row in encoder.encode_all(sample, limit)]
    most = max((len(row.input_ids) for row in encoder.encode_all(longest, limit)), default=0)
    return max(1, round(len(lengths) * scale)), round(sum(lengths) * scale), max([most, *lengths])


def _chars(example: Example) -> int:
    match example:
        case ClassifiedText():
            return len(example.text) + len(example.second_text)
        case Answered():
            return len(example.question) + len(example.context)
        case TaggedWords():
            return sum(len(word) + 1 for word in example.words)
        case Dialogue():
            return sum(len(message.content) for message in example.messages)
        case PlainText():
            return len(example.text)
