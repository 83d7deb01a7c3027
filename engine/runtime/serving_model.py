"""What the engine needs of a model that answers: one in memory (ActiveModel), or one on another server (RemoteModel)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Protocol

from ..errors import EngineError
from ..hardware import Hardware
from ..messages import Effort, GenerationOptions, Message, PromptView, StreamEvent, Thinking
from ..models.adapters import Adapter
from ..models.quantization import Quantization
from ..models.spec import LoadOptions, ModelSpec, Report
from ..pictures import Picture
from ..settings import Settings
from ..shapes import Shape

if TYPE_CHECKING:
    from .model_adapters import ModelAdapters

Load = Callable[[Report], "ServingModel"]


class ServingModel(Protocol):
    """Users hold a lease (admission.py). `window_tokens`: 0 if it is not known. `held_bytes`: memory of this machine."""

    settings: Settings
    window_tokens: int

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def options(self) -> LoadOptions:
        """The options with which the same load can be repeated."""

    @property
    def quantization(self) -> Quantization:
        """Of the weights in memory."""

    @property
    def stored(self) -> str:
        """How the repository stores its weights, if they are quantized there, or ""."""

    @property
    def dtype(self) -> str: ...

    @property
    def lane(self) -> str: ...

    @property
    def lane_reason(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def thinking(self) -> Thinking: ...

    @property
    def calls_tools(self) -> bool:
        """Whether its chat template has a form of its own for calls of tools: then it was probably trained to make them."""

    @property
    def reads_pictures(self) -> bool:
        """Whether it may be given pictures."""

    @property
    def held_bytes(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def default_options(self, effort: Effort | None = None) -> GenerationOptions: ...

    def chat(self, messages: tuple[Message, ...], options: GenerationOptions, stop: threading.Event | None = None,
             visitor: str = "") -> Generator[StreamEvent, None, None]: ...

    def complete(self, prompt: str | Sequence[int], options: GenerationOptions, stop: threading.Event | None = None,
                 visitor: str = "") -> Generator[StreamEvent, None, None]:
        """Continue a text, or its token ids, as it is, without a template."""

    @property
    def cache_use(self) -> tuple[int, int]:
        """Blocks of the paged cache that replies hold now, and all blocks; (0, 0) without such a cache."""

    def count_tokens(self, text: str) -> int: ...

    def count_picture_tokens(self, picture: Picture) -> int: ...

    def view_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> PromptView: ...

    def check_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> None:
        """Raise what `chat` would raise about the messages, where that is known before it begins."""

    def check_shape(self, shape: Shape) -> None:
        """Raise InvalidShape, or NotOnThisMachine, if no answer can have it."""

    def refusal(self) -> EngineError:
        """Why it cannot do what only a model in memory that chats can."""

    @property
    def adapters(self) -> ModelAdapters | None:
        """None for a model that has no adapters."""

    def serve_adapters(self, spec: ModelSpec, settings: Settings, adapters: Sequence[Adapter], free_bytes: int) -> bool:
        """Whether this model can serve the spec with these adapters, which it then does, without another load.

        Raises UnsupportedAdapter, and NotEnoughMemory if they do not fit in `free_bytes`.
        """

    def loads_again(self, hardware: Hardware) -> Load:
        """What loads this model again, without a reference to it. `hardware`: that it runs on."""

    def stop_lanes(self) -> None:
        """Stop all replies. Each ends within a step."""

    def release(self) -> None:
        """Drop all references."""
