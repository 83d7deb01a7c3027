"""Turns token ids into text to show: whole characters, no stop strings, reasoning separate from the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..messages import ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from tokenizers.decoders import DecodeStream
    from transformers import PreTrainedTokenizerBase

REPLACEMENT = "\ufffd"      # what a decoder returns for an incomplete character
# Marks around the thoughts before an answer. In many tokenizers they are special tokens, which a decoder leaves out.
THOUGHT_MARKS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>"), ("[THINK]", "[/THINK]"),
                 ("<|START_THINKING|>", "<|END_THINKING|>"), ("<seed:think>", "</seed:think>"),
                 ("<|channel>thought", "<channel|>"), ("<|channel|>analysis<|message|>", "<|end|>"))
# The answer of gpt-oss is in a separate channel, after that of its thoughts.
ANSWER_MARKS = ("<|start|>assistant<|channel|>final<|message|>", "<|channel|>final<|message|>")
CHANNEL_TOKENS = frozenset(("<|channel|>", "<|message|>", "<|start|>", "<|end|>"))
MARK_TOKENS = frozenset(mark for marks in THOUGHT_MARKS for mark in marks) - CHANNEL_TOKENS | {"<|channel>"}
CLOSED_ELSEWHERE = 200      # characters of a reply that are held back while they may be thoughts that the prompt should have opened


def mark_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The added tokens that mark thoughts and answers, by id: their text is needed to tell the two apart.

    Slow for a tokenizer with many added tokens: call it once for each.
    """
    found = {int(token_id): str(token.content) for token_id, token in tokenizer.added_tokens_decoder.items()}
    wanted = MARK_TOKENS | CHANNEL_TOKENS if "<|channel|>" in found.values() else MARK_TOKENS
    return {token_id: text for token_id, text in found.items() if text in wanted}


def opened_thought(prompt: str) -> str:
    """Return the mark that closes the thoughts which the end of a prompt opens; "" if it opens none."""
    return next((end for start, end in THOUGHT_MARKS if prompt.rstrip().endswith(start)), "")


def closing_mark(marks: Mapping[int, str], prompt: str) -> str:
    """Return the mark that may close thoughts without an opening mark; "" if there is none in `marks`, or if the prompt ends with it."""
    mark = next((end for _, end in THOUGHT_MARKS if end in marks.values() and end not in CHANNEL_TOKENS), "")
    return "" if mark and prompt.rstrip().endswith(mark) else mark


class IncrementalDecoder:
    """Decodes token ids to text as soon as its characters are complete. O(1) per token (tokenizers' DecodeStream).

    Bytes that form no character become U+FFFD. Special tokens are left out, except `marks` (of mark_tokens).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, marks: Mapping[int, str]) -> None:
        self._core = tokenizer.backend_tokenizer
        self._marks = marks
        self._pending: list[int] = []
        self._stream = self._new_stream()

    @staticmethod
    def _new_stream() -> DecodeStream:
        from tokenizers.decoders import DecodeStream

        return DecodeStream(skip_special_tokens=True)

    def feed(self, ids: Iterable[int]) -> str:
        return "".join(self._step(token_id) for token_id in ids)

    def _step(self, token_id: int) -> str:
        if token_id in self._marks:
            if self._pending:       # a part of a character, which will not be completed
                self._stream = self._new_stream()
            return self.flush() + self._marks[token_id]
        self._pending.append(token_id)
        try:
            piece = self._stream.step(self._core, token_id)
        except Exception:       # tokenizers has no exception type for bytes that can no longer become a character
            piece, self._stream = self._decoded_pending(), self._new_stream()
        if piece is None:
            return ""
        self._pending.clear()
        return piece

    def _decoded_pending(self) -> str:
        text: str = self._core.decode(self._pending, skip_special_tokens=True)
        return text

    def flush(self) -> str:
        """The rest of the text when no token will follow: complete characters only."""
        rest = self._decoded_pending() if self._pending else ""
        self._pending.clear()
        return rest.replace(REPLACEMENT, "")


class StopStrings:
    """Holds back text that could still become a stop string, so that no part of one is ever shown."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_hit = False

    def feed(self, text: str) -> str:
        if not self._stops or self.is_hit:
            return "" if self.is_hit else text
        self._held += text
        hits = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if hits:
            shown, self._held, self.is_hit = self._held[: min(hits)], "", True
            return shown
        keep = longest_partial(self._held, self._stops)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep:]
        return shown

    def flush(self) -> str:
        rest, self._held = self._held, ""
        return rest


class ReasoningSplitter:
    """Separates the thoughts before an answer from it, also those that the prompt opened, or that are never closed.

    Only thoughts at the very start of the reply count; a later mark is ordinary text. `close`: the mark that ends thoughts which the
    prompt opened; with `goes_on`, the prompt contains their beginning. `may_close`: one that may end thoughts without an opening mark; a
    beginning that may be such thoughts is held back. Without `has_thoughts`, all of the reply is text.
    """

    def __init__(self, close: str = "", may_close: str = "", *, goes_on: bool = False, has_thoughts: bool = True) -> None:
        self._close, self._may_close = close, may_close
        self._is_start = not close and has_thoughts
        self._held = ""
        self._trim = bool(close) and not goes_on

    @property
    def is_thinking(self) -> bool:
        return bool(self._close)

    @property
    def num_held(self) -> int:
        """Characters that it was given and that are not decided yet."""
        return len(self._held)

    def feed(self, text: str) -> Iterator[TextDelta | ReasoningDelta]:
        self._held += text
        while self._held:
            if self._is_start and not self._begin():
                return
            if not self._close:
                yield from self._outside()
                return
            yield from self._inside()
            if self._close:
                return

    def _begin(self) -> bool:
        """Whether it is known what the reply begins with."""
        stripped = self._held.lstrip()
        opened = next(((start, end) for start, end in THOUGHT_MARKS if stripped.startswith(start)), None)
        if opened is not None:
            self._held, self._close, self._trim, self._is_start = stripped[len(opened[0]):], opened[1], True, False
            return True
        if any(mark.startswith(stripped) for mark in (*ANSWER_MARKS, *(start for start, _ in THOUGHT_MARKS))):
            return False        # may still become a mark
        if stripped.startswith(ANSWER_MARKS):
            self._trim, self._is_start = True, False
            return True
        if self._may_close:
            if self._may_close in stripped:
                self._close, self._trim, self._is_start = self._may_close, True, False
                return True
            if len(self._held) < CLOSED_ELSEWHERE:
                return False
        self._is_start = False
        return True

    def _inside(self) -> Iterator[ReasoningDelta]:
        at = self._held.find(self._close)
        keep = longest_partial(self._held, (self._close,)) if at < 0 else 0
        end = at if at >= 0 else len(self._held) - keep
        thought, rest = self._held[:end], self._held[end:]
        if self._trim:
            thought = thought.lstrip()
            self._trim = not thought
        self._held = rest
        if thought:
            yield ReasoningDelta(thought)
        if at >= 0:
            self._held, self._close, self._trim = rest[len(self._close):], "", True

    def _outside(self) -> Iterator[TextDelta]:
        text, self._held = self._held, ""
        if self._trim:
            text = text.lstrip()
            if any(mark != text and mark.startswith(text) for mark in ANSWER_MARKS):
                self._held = text       # may still become the mark before an answer
                return
            text = next((text[len(mark):] for mark in ANSWER_MARKS if text.startswith(mark)), text).lstrip()
            self._trim = not text
        if text:
            yield TextDelta(text)

    def flush(self) -> Iterator[TextDelta | ReasoningDelta]:
        rest, self._held = self._held, ""
        if rest:
            yield ReasoningDelta(rest) if self._close else TextDelta(rest)


def longest_partial(text: str, needles: Sequence[str]) -> int:
    """Length of the longest suffix of `text` that is the beginning of one of `needles`."""
    longest = 0
    for needle in needles:
        for size in range(min(len(needle) - 1, len(text)), longest, -1):
            if text.endswith(needle[:size]):
                longest = size
                break
    return longest
