"""Keeps text in messages that looks like a control token as text: only the chat template writes control tokens.

transformers can do this too (`apply_chat_template(..., sanitize_control_tokens=True)`), but only for a whole chat at once, and
through a setting of the tokenizer that every thread shares.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

START, END = "\ue0b0", "\ue0b1"     # around such text while the template runs; private use characters, removed from messages
PICTURE = "\ue0b2"                  # around the digest of a picture, after what the template writes for it
DIGEST = re.compile(f"{PICTURE}([0-9a-f]*){PICTURE}")
LINE = "\n"


class ControlTokens:
    """Marks control tokens in the text of messages, and encodes a rendered prompt with those as ordinary text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        template = str(tokenizer.chat_template or "")
        names = {str(token.content) for token in tokenizer.added_tokens_decoder.values()
                 if token.special or (token.content in template and not token.content.isspace())}
        names |= {str(token) for token in tokenizer.all_special_tokens}
        longest_first = sorted(filter(None, names), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._line_ids = self._ids(LINE)

    def mark(self, text: str) -> str:
        text = unmarked(text)
        return self._pattern.sub(f"{START}\\g<0>{END}", text) if self._pattern else text

    def encode(self, marked: str, *, adds_special: bool = False, follows: bool = False) -> list[int]:
        """The ids of a prompt, or of the rest of one, whose messages were marked.

        `adds_special`: with the tokenizer's own begin token. `follows`: it comes after other tokens.
        """
        if START not in marked and END not in marked:
            return self.encode_after(marked) if follows else self._ids(marked, adds_special=adds_special)
        ids: list[int] = []
        for at, piece in enumerate(re.split(f"{START}([^{START}{END}]*){END}", marked)):
            parts = (piece[:1], piece[1:]) if at % 2 else re.split(f"[{START}{END}]", piece)     # two halves are no longer a token
            for part in filter(None, parts):
                if not ids and not follows:
                    ids = self._ids(part, adds_special=adds_special)
                else:
                    ids += self.encode_after(part)
        return ids

    def encode_after(self, text: str) -> list[int]:
        """Return the ids of an unmarked text that follows other text: many tokenizers add a space at the start of a text."""
        ids = self._ids(LINE + text)
        return ids[len(self._line_ids):] if ids[:len(self._line_ids)] == self._line_ids else self._ids(text)

    def _ids(self, text: str, *, adds_special: bool = False) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=adds_special, verbose=False)["input_ids"]
        return ids


def unmarked(text: str) -> str:
    return DIGEST.sub("", text).replace(START, "").replace(END, "").replace(PICTURE, "")
