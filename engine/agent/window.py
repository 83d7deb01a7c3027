"""The context window of a model, and how to count tokens in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..errors import MessageTooLong
from ..messages import Message
from ..providers.base import ChatProvider

UNKNOWN_TOKENS = 4096       # assumed until a refusal reports the real size
MARKS_TOKENS = 6            # what a chat template adds to a message
BYTES_PER_TOKEN = 3         # of code in UTF-8: 3.1 with the built-in model's tokenizer, more with larger vocabularies


@runtime_checkable
class TokenCounter(Protocol):
    """Optional methods of a provider besides `chat`, with which its window need not be guessed."""

    @property
    def window_tokens(self) -> int: ...

    def count_tokens(self, text: str) -> int: ...


def rough_tokens(text: str) -> int:
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Window:
    """`is_known`: the model reported the size; otherwise it is an assumption."""

    tokens: int = UNKNOWN_TOKENS
    count: Callable[[str], int] = rough_tokens
    is_known: bool = False

    @classmethod
    def of(cls, provider: ChatProvider) -> Window:
        return cls(provider.window_tokens, provider.count_tokens, True) if isinstance(provider, TokenCounter) else cls()

    def size(self, messages: Sequence[Message]) -> int:
        return sum(self.count(message.content) + MARKS_TOKENS for message in messages)

    def learned(self, messages: Sequence[Message], refusal: MessageTooLong) -> Window:
        """Return the window that a refusal reports, with the estimated count scaled to the model's own."""
        scale = max(1.0, refusal.tokens / max(1, self.size(messages)))
        count = self.count
        return Window(refusal.window_tokens, lambda text: math.ceil(count(text) * scale), True)
