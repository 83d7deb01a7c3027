"""The interface of a chat provider: a model on this machine, or on a remote server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ..messages import GenerationOptions, Message, StreamEvent


class ChatProvider(Protocol):
    """`chat` streams one reply, whose last event is Finished. Raises EngineError."""

    @property
    def name(self) -> str: ...

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]: ...
