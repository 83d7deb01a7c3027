"""The output of a program: its beginning and end, and how much was dropped in between."""

from __future__ import annotations

import codecs


class KeptOutput:
    """Collects bytes in any pieces, also split inside a character; never holds much more than `max_chars`."""

    def __init__(self, max_chars: int) -> None:
        self._half = max_chars // 2
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head, self._num_head_chars = list[str](), 0
        self._tail = ""
        self._num_left_out = 0

    def add(self, data: bytes, *, is_last: bool = False) -> str:
        """Add bytes; returns the part that belongs to the beginning, which is shown at once."""
        text = self._decoder.decode(data, is_last)
        shown = text[:self._half - self._num_head_chars]
        if shown:
            self._head.append(shown)
            self._num_head_chars += len(shown)
        self._tail += text[len(shown):]
        if len(self._tail) > 2 * self._half:
            self._cut_tail()
        return shown

    @property
    def text(self) -> str:
        self._cut_tail()
        cut = f"\n... {self._num_left_out:,} characters left out ...\n" if self._num_left_out else ""
        return "".join(self._head) + cut + self._tail

    def _cut_tail(self) -> None:
        surplus = max(0, len(self._tail) - self._half)
        self._num_left_out += surplus
        self._tail = self._tail[surplus:]
