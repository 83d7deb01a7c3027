"""From examples to rows of token ids, the same for the trainer, for the checks and for the preview."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from ..generation.control_tokens import ControlTokens
from ..messages import Message
from .answers import best_answers
from .dialogues import DialogueEncoder
from .encoded import IGNORED, Encoded, Piece
from .examples import Answered, ClassifiedText, Dialogue, Example, PlainText, TaggedWords, characters
from .headed import answered, classified, tagged
from .plan import FineTunePlan, Task
from .recommended import max_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["IGNORED", "Encoded", "Encoder", "Piece", "best_answers", "encode_all", "token_limit"]

AROUND = 16     # tokens around a text, or around a message of a chat
SHORTEST = Dialogue(0, (Message("user", "a"), Message("assistant", "a")))       # has what a chat template writes before every chat
NO_WINDOW = 1_000_000       # tokenizers without a limit say some number above it


def token_limit(plan: FineTunePlan, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the longest example, as far as the tokenizer knows its model's window."""
    return max_tokens(plan, min(int(tokenizer.model_max_length), NO_WINDOW))


class Encoder:
    """Encodes the examples of one task. The tokenizer must be used by nobody else meanwhile: cutting texts is a setting of it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, task: Task) -> None:
        """Raises InvalidRequest for a tokenizer that cannot be used for this task."""
        self._dialogues = DialogueEncoder(tokenizer) if task == "chat" else None
        self._control = ControlTokens(tokenizer) if task == "text" else None        # what looks like one in a plain text is text
        self.tokenizer = self._dialogues.tokenizer if self._dialogues else tokenizer        # with a chat template, for that task
        self._around = self.count(SHORTEST) if self._dialogues else AROUND

    def encode(self, example: Example, max_tokens: int, at: int = 0) -> tuple[Encoded, ...]:
        """The rows of one example, of at most `max_tokens` tokens each. `at`: its place, as `Encoded.example`.

        Raises InvalidRequest with its row where it would lose its answer, and ChatTemplateFailed.
        """
        match example:
            case ClassifiedText():
                return (classified(example, at, self.tokenizer, max_tokens),)
            case TaggedWords():
                return (tagged(example, at, self.tokenizer, max_tokens),)
            case Answered():
                return tuple(answered(example, at, self.tokenizer, max_tokens))
            case Dialogue():
                assert self._dialogues is not None
                rows = tuple(self._dialogues.rows(example, at))
                longest = max(len(row.input_ids) for row in rows)
                if longest > max_tokens:
                    raise InvalidRequest("example", f"{longest:,} tokens long in row {example.row:,}", f"at most {max_tokens:,} tokens")
                return rows
        return tuple(self.packed([example], max_tokens, at))

    def encode_all(self, examples: Sequence[Example], max_tokens: int) -> list[Encoded]:
        """The rows of all examples; plain texts one after the other in blocks of `max_tokens`."""
        texts = [example for example in examples if isinstance(example, PlainText)]
        if texts:
            return [*self.packed(texts, max_tokens)]
        return [row for at, example in enumerate(examples) for row in self.encode(example, max_tokens, at)]

    def packed(self, texts: Iterable[PlainText], max_tokens: int, at: int = 0) -> Iterator[Encoded]:
        """Blocks of texts, with the token that ends texts after each. The last one is shorter. `Encoded.example` counts the blocks."""
        pending: list[int] = []
        for text in texts:
            pending += self._of_text(text)
            while len(pending) >= max_tokens:
                block, pending = pending[:max_tokens], pending[max_tokens:]
                yield Encoded(at, block, labels=block)
                at += 1
        if len(pending) > 1:        # one token has none before it that could predict it
            yield Encoded(at, pending, labels=pending)

    def _of_text(self, example: PlainText) -> list[int]:
        assert self._control is not None
        ids = self._control.encode(self._control.mark(example.text), adds_special=True)
        eos = self.tokenizer.eos_token_id
        return ids if eos is None or ids[-1:] == [eos] else [*ids, int(eos)]

    def count(self, example: Example) -> int:
        """How many tokens an example has when nothing is cut."""
        match example:
            case ClassifiedText():
                return len(classified(example, 0, self.tokenizer, NO_WINDOW).input_ids)
            case TaggedWords():
                return len(self.tokenizer(" ".join(example.words), verbose=False)["input_ids"])
            case Answered():
                return len(self.tokenizer(example.question, example.context, verbose=False)["input_ids"])
            case Dialogue():
                assert self._dialogues is not None
                return max(len(row.input_ids) for row in self._dialogues.rows(example))
        return len(self._of_text(example))

    def most(self, example: Example) -> int:
        """A number of tokens that it certainly does not exceed, without encoding it: a character takes at most four, the bytes of UTF-8."""
        turns = len(example.messages) if isinstance(example, Dialogue) else 0
        return 4 * characters(example) + self._around + AROUND * turns

    def pieces(self, example: Example, max_tokens: int, labels: Sequence[str] = ()) -> tuple[Piece, ...]:
        """The exact text that the model sees, in pieces that are trained and pieces that are not; of the first row with something trained.

        `labels`: of `Prepared`. Texts with one label end with a piece without text whose tag is that label. Raises what `encode` raises.
        """
        rows = self.encode(example, max_tokens)
        row = next((row for row in rows if row.start or row.end), rows[0])
        if isinstance(example, ClassifiedText):
            return (*self._shown(row.input_ids, [IGNORED] * len(row.input_ids)), Piece("", True, labels[example.label] if labels else ""))
        if isinstance(example, Answered):
            trained = [0 if row.start <= at <= row.end else IGNORED for at in range(len(row.input_ids))]
            return self._shown(row.input_ids, trained)
        if isinstance(example, TaggedWords):
            return self._shown(row.input_ids, row.labels, labels)
        return tuple(piece for each in rows for piece in self._shown(each.input_ids, [min(label, 0) for label in each.labels]))

    def _shown(self, ids: Sequence[int], trained: Sequence[int], labels: Sequence[str] = ()) -> tuple[Piece, ...]:
        """Pieces of equal label; every tagged word is one of its own. Decoded from the start, as many decoders treat that differently."""
        found, shown, at = [], "", 0
        for label, group in groupby(enumerate(trained), key=lambda each: (each[1], each[0] if each[1] > IGNORED and labels else 0)):
            at += len([*group])
            text = self._decoded(ids[:at])
            piece, shown = text[len(shown):] if text.startswith(shown) else text, text
            found.append(Piece(piece, label[0] != IGNORED, labels[label[0]] if labels and label[0] != IGNORED else ""))
        return tuple(found)

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def encode_all(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, plan: FineTunePlan) -> list[Encoded]:
    """The rows of all examples of a plan (`Encoder.encode_all`)."""
    return Encoder(tokenizer, plan.task).encode_all(examples, token_limit(plan, tokenizer))
