"""Turns token ids into text to show: whole characters, no stop strings, reasoning separate from the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..messages import ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REPLACEMENT = "\ufffd"      # what a decoder returns for an incomplete character
THINK_TAGS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>"))


class IncrementalDecoder:
    """Decodes token ids to text as soon as its characters are complete. O(1) per token (tokenizers' DecodeStream)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        from tokenizers.decoders import DecodeStream

        self._core = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._pending: list[int] = []

    def feed(self, ids: Iterable[int]) -> str:
        pieces = []
        for token_id in ids:
            self._pending.append(token_id)
            piece = self._stream.step(self._core, token_id)
            if piece is not None:
                self._pending.clear()
                pieces.append(piece)
        return "".join(pieces)

    def flush(self) -> str:
        """The rest of the text when no token will follow: complete characters only."""
        rest: str = self._core.decode(self._pending, skip_special_tokens=True) if self._pending else ""
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
        keep = _longest_partial(self._held, self._stops)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep:]
        return shown

    def flush(self) -> str:
        rest, self._held = self._held, ""
        return rest


class ReasoningSplitter:
    """Separates a <think> block from the answer, also one that the prompt opened or that is never closed.

    Only a block at the very start of the reply counts; a later tag is ordinary text.
    """

    def __init__(self, is_open: bool = False) -> None:
        self._opening = [tag for tag, _ in THINK_TAGS]
        self._close: str | None = "</think>" if is_open else None
        self._is_start = not is_open
        self._held = ""
        self._trim = is_open

    def feed(self, text: str) -> Iterator[TextDelta | ReasoningDelta]:
        self._held += text
        while self._held:
            if self._is_start:
                stripped = self._held.lstrip()
                tag = next((tag for tag in self._opening if stripped.startswith(tag)), None)
                if tag is not None:
                    self._held, self._is_start, self._trim = stripped[len(tag):], False, True
                    self._close = dict(THINK_TAGS)[tag]
                    continue
                if any(tag.startswith(stripped) for tag in self._opening):
                    return      # may still become a tag
                self._is_start = False
                continue
            yield from self._inside() if self._close else self._outside()
            if self._close is not None or not self._held:
                return

    def _inside(self) -> Iterator[ReasoningDelta]:
        assert self._close is not None
        at = self._held.find(self._close)
        keep = _longest_partial(self._held, (self._close,)) if at < 0 else 0
        end = at if at >= 0 else len(self._held) - keep
        thought, rest = self._held[:end], self._held[end:]
        if self._trim:
            thought = thought.lstrip()
            self._trim = not thought
        if thought:
            yield ReasoningDelta(thought)
        self._held = rest
        if at >= 0:
            self._held, self._close, self._trim = rest[len(self._close):], None, True

    def _outside(self) -> Iterator[TextDelta]:
        text, self._held = self._held, ""
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        if text:
            yield TextDelta(text)

    def flush(self) -> Iterator[TextDelta | ReasoningDelta]:
        rest, self._held = self._held, ""
        if rest:
            yield ReasoningDelta(rest) if self._close else TextDelta(rest)


def _longest_partial(text: str, needles: Sequence[str]) -> int:
    """Length of the longest suffix of `text` that is the beginning of one of `needles`."""
    longest = 0
    for needle in needles:
        for size in range(min(len(needle) - 1, len(text)), longest, -1):
            if text.endswith(needle[:size]):
                longest = size
                break
    return longest
