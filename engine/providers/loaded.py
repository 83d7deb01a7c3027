"""Whatever model the engine has loaded, as a provider: it loads nothing by itself and follows every swap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..messages import GenerationOptions, Message, StreamEvent

if TYPE_CHECKING:
    from ..runtime.engine import Engine


class LoadedModelProvider:
    """`chat` raises what Engine.chat raises; while a model is loading it waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        return self._engine.status().model

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        return self._engine.chat(messages, options)
