"""The model that the engine has loaded, as a provider. It loads nothing itself and uses the new model after each swap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..messages import GenerationOptions, Message, StreamEvent

if TYPE_CHECKING:
    from ..runtime.engine import Engine


class LoadedModelProvider:
    """`chat` raises what Engine.chat raises, and waits while a model is loading. `visitor`: whose work it is."""

    def __init__(self, engine: Engine, visitor: str = "") -> None:
        self._engine, self._visitor = engine, visitor

    @property
    def name(self) -> str:
        return self._engine.status().model

    @property
    def calls_tools(self) -> bool:
        """Whether the model was trained to call tools."""
        return self._engine.status().calls_tools

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        return self._engine.chat(messages, options, visitor=self._visitor)
