"""A model on this machine with the interface that the MindCubes guide describes: generate, stream, unload_model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError, InvalidRequest
from ..messages import Effort, GenerationOptions, Message, StreamEvent, TextDelta
from ..models.quantization import Quantization, four_bit
from ..models.spec import ModelSpec, Released
from ..settings import BUILTIN, Secret, Settings

if TYPE_CHECKING:
    from ..runtime.engine import Engine

_shared: dict[Settings, Engine] = {}
_shared_lock = threading.Lock()


class LocalModelProvider:
    """Loads its model on first use. Providers with the same settings share one engine, and so one model in memory.

    `max_tokens` counts new tokens, thoughts among them. `reasoning_effort` and `reasoning_budget` are those of GenerationOptions.
    `generate` and `stream` raise EngineError and its subclasses.
    """

    def __init__(self, model_name: str = BUILTIN, device: str = "auto", cache_dir: str | Path | None = None,
                 load_in_4bit: bool = False, load_in_8bit: bool = False, hf_token: str | None = None, *,
                 engine: Engine | None = None) -> None:
        if load_in_4bit and load_in_8bit:
            raise InvalidRequest("load_in_8bit", True, "False when load_in_4bit is True")
        self._engine = engine or _shared_engine(device, cache_dir, hf_token)
        quantization = Quantization.INT8 if load_in_8bit else Quantization.NONE
        self.spec = ModelSpec(model_name, quantization=four_bit(self._engine.hardware) if load_in_4bit else quantization)

    @property
    def name(self) -> str:
        return self.spec.name

    def load(self) -> None:
        """Load this provider's model, unless it is loaded already."""
        if self._engine.spec != self.spec or self._engine.status().state != "ready":
            for _ in self._engine.load(self.spec):
                pass

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        self.load()
        return self._engine.chat(messages, options, spec=self.spec)

    async def generate(self, prompt: str, system_prompt: str | None = None, temperature: float = 0.7, max_tokens: int = 256,
                       top_p: float = 0.95, top_k: int = 50, repetition_penalty: float = 1.0, reasoning_effort: Effort | None = None,
                       reasoning_budget: int | None = None) -> str:
        """The whole answer, without the reasoning."""
        pieces = [piece async for piece in self.stream(
            prompt, system_prompt=system_prompt, temperature=temperature, max_tokens=max_tokens, top_p=top_p, top_k=top_k,
            repetition_penalty=repetition_penalty, reasoning_effort=reasoning_effort, reasoning_budget=reasoning_budget)]
        return "".join(pieces)

    async def stream(self, prompt: str, system_prompt: str | None = None, temperature: float = 0.7, max_tokens: int = 256,
                     top_p: float = 0.95, top_k: int = 50, repetition_penalty: float = 1.0, reasoning_effort: Effort | None = None,
                     reasoning_budget: int | None = None) -> AsyncIterator[str]:
        """The answer in pieces, without the reasoning. Leaving the loop early stops the model."""
        options = GenerationOptions(max_new_tokens=max_tokens, temperature=temperature, top_p=top_p, top_k=top_k,
                                    repetition_penalty=repetition_penalty, reasoning_effort=reasoning_effort,
                                    reasoning_budget=reasoning_budget)
        messages = [Message("system", system_prompt)] if system_prompt else []
        events = await asyncio.to_thread(self.chat, [*messages, Message("user", prompt)], options)
        step: asyncio.Future[StreamEvent | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(asyncio.to_thread(next, events, None))
                event = await asyncio.shield(step)
                if event is None:
                    return
                if isinstance(event, TextDelta):
                    yield event.text
        finally:
            if step is not None and not step.done():
                await asyncio.wait([step])      # a generator cannot be closed while it runs
            await asyncio.to_thread(events.close)   # type: ignore[attr-defined]

    def unload_model(self) -> Released:
        """Free the model; returns the memory that was released."""
        return self._engine.unload()


def _shared_engine(device: str, cache_dir: str | Path | None, hf_token: str | None) -> Engine:
    from ..runtime.engine import Engine

    settings = replace(Settings.from_env(), device=device)
    if cache_dir is not None:
        settings = replace(settings, cache_dir=Path(cache_dir))
    if hf_token:
        settings = replace(settings, hf_token=Secret(hf_token))
    with _shared_lock:
        return _shared.setdefault(settings, Engine(settings))


__all__ = ["EngineError", "LocalModelProvider"]
