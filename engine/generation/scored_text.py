"""Log probabilities beside the text of a reply: which tokens, with their scores, belong to each piece of text.

Positions are counted in characters of the decoded reply, before marks of thoughts are taken out. A token belongs to the piece that
contains its first shown character; tokens that are not shown (marks, and what follows a stop string) belong to none.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ..messages import ReasoningDelta, TextDelta, TokenScore
from .base import Score

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SINGLE_BYTE = re.compile(r"<0x([0-9A-F]{2})>")      # how SentencePiece names a byte that is no character by itself


class TokenBytes:
    """The bytes that a token stands for. Those of one token may be a part of a character."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._added = tokenizer.added_tokens_decoder
        self._is_byte_level = b"ByteLevel" in tokenizer.backend_tokenizer.decoder.__getstate__()

    def of(self, token_id: int) -> bytes:
        if token_id in self._added:
            return str(self._added[token_id].content).encode()
        token = str(self._tokenizer.convert_ids_to_tokens(token_id) or "")
        if self._is_byte_level:
            table = byte_of_character()
            return bytes(table[character] for character in token if character in table)
        single = SINGLE_BYTE.fullmatch(token)
        return bytes([int(single[1], 16)]) if single else token.replace("▁", " ").encode()


@cache
def byte_of_character() -> dict[str, int]:
    """The byte of each character in the vocabulary of a byte-level BPE (Radford et al. 2019).

    Printable characters of Latin-1 stand for themselves, the others for the characters from U+0100 on.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + number): byte for number, byte in enumerate(others)}


class ScoredText:
    """Follows one reply: `add` its tokens as they are decoded, then `attach` them to the pieces of text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._bytes = TokenBytes(tokenizer)
        self._undecoded: list[TokenScore] = []          # their text comes with a later token
        self._decoded = 0                               # characters
        self._tokens: deque[tuple[int, int, TokenScore]] = deque()      # begin, end: characters

    def add(self, token_id: int, score: Score, decoded: str) -> None:
        """`decoded`: the text that became complete with this token."""
        data = self._bytes.of(token_id)
        likeliest = tuple((other.decode(errors="replace"), other, value) for other, value in
                          ((self._bytes.of(likely), value) for likely, value in score.likeliest))
        self._undecoded.append(TokenScore(data.decode(errors="replace"), data, score.log_probability, likeliest))
        if decoded:
            self.flush(decoded)

    def flush(self, decoded: str) -> None:
        """The tokens without text so far have this one together."""
        begin, self._decoded = self._decoded, self._decoded + len(decoded)
        self._tokens += [(begin, self._decoded, token) for token in self._undecoded]
        self._undecoded.clear()

    def attach(self, piece: TextDelta | ReasoningDelta, end: int) -> TextDelta | ReasoningDelta:
        """The piece with its tokens. `end`: where it ends in the decoded reply, in characters."""
        begin, found = end - len(piece.text), []
        while self._tokens and self._tokens[0][0] < end:
            _, token_end, token = self._tokens.popleft()
            if token_end > begin:
                found.append(token)
        return replace(piece, tokens=tuple(found))

