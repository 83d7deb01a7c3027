"""What can answer a conversation: a model here, or a server elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ..messages import GenerationOptions, Message, StreamEvent


class ChatProvider(Protocol):
    """`chat` streams one reply whose last event is Finished, and raises EngineError."""

    @property
    def name(self) -> str: ...

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]: ...
