"""A model on another server, in the place of one in memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Sequence
from functools import partial

from ..errors import NotOnThisMachine
from ..hardware import Hardware
from ..messages import Effort, Finished, GenerationOptions, Message, PromptView, StreamEvent, Thinking
from ..models.adapters import Adapter
from ..models.quantization import Quantization
from ..models.spec import LoadEvent, LoadOptions, ModelSpec, Report
from ..pictures import Picture
from ..remote import Connection, RemoteServer, response_format
from ..settings import Settings
from ..shapes import Shape
from .serving_model import Load

# What can be asked of a server; whether its model thinks is not known.
THINKING = Thinking(("none", "low", "medium", "high"), None, has_thoughts=True, may_be_unset=True)
BYTES_PER_TOKEN = 3.0       # of UTF-8, until a reply shows what it is for this model


class RemoteModel:
    """Created by `open`. Its tokens are counted by the server, so a text that was not sent yet can only be estimated."""

    def __init__(self, spec: ModelSpec, server: RemoteServer, window_tokens: int, settings: Settings) -> None:
        self.spec, self.settings, self.window_tokens = spec, settings, window_tokens
        self._server = server
        self._bytes_per_token = BYTES_PER_TOKEN

    @classmethod
    def open(cls, spec: ModelSpec, connection: Connection, settings: Settings, report: Report) -> RemoteModel:
        """Raises RemoteError and its subclasses, also if the server does not offer the connection's model."""
        server = RemoteServer(connection)
        try:
            report(LoadEvent("config", note="Asking the other server"))
            return cls(spec, server, server.find().window_tokens, settings)
        except BaseException:
            server.close()
            raise

    @property
    def connection(self) -> Connection:
        return self._server.connection

    @property
    def options(self) -> LoadOptions:
        return LoadOptions(self.settings.context_tokens, self.settings.concurrent_replies, self.settings.device)

    @property
    def quantization(self) -> Quantization:
        return self.spec.quantization

    @property
    def stored(self) -> str:
        return ""

    @property
    def dtype(self) -> str:
        return ""

    @property
    def lane(self) -> str:
        return "remote"

    @property
    def lane_reason(self) -> str:
        return f"{self.connection.model} runs on another server"

    @property
    def notes(self) -> tuple[str, ...]:
        return (f"{self.lane_reason}.",)

    @property
    def thinking(self) -> Thinking:
        return THINKING

    @property
    def calls_tools(self) -> bool:
        """False: many servers refuse tools, so they get them only if a person chose some."""
        return False

    @property
    def reads_pictures(self) -> bool:
        """True: only the server knows."""
        return True

    @property
    def held_bytes(self) -> int:
        return 0

    @property
    def waiting(self) -> int:
        return 0

    def default_options(self, effort: Effort | None = None) -> GenerationOptions:
        return GenerationOptions(reasoning_effort=effort)

    @property
    def cache_use(self) -> tuple[int, int]:
        return 0, 0

    def complete(self, prompt: str | Sequence[int], options: GenerationOptions, stop: threading.Event | None = None,
                 visitor: str = "") -> Generator[StreamEvent, None, None]:
        """Raises NotOnThisMachine."""
        raise NotOnThisMachine(self.spec.name, "continuations of a text without a chat")

    def chat(self, messages: tuple[Message, ...], options: GenerationOptions, stop: threading.Event | None = None,
             visitor: str = "") -> Generator[StreamEvent, None, None]:
        if options.top_logprobs is not None:
            raise NotOnThisMachine(self.spec.name, "log probabilities")
        if options.adapter:
            raise NotOnThisMachine(self.spec.name, "a choice of adapters")
        for event in self._server.chat(messages, options, stop):
            if isinstance(event, Finished):
                self._learn(messages, event)
            yield event

    def _learn(self, messages: tuple[Message, ...], finished: Finished) -> None:
        """How many bytes a token has, from a prompt that is long enough for the template's own tokens not to matter."""
        size, tokens = sum(len(each.content.encode()) for each in messages), finished.usage.prompt_tokens
        if tokens > 200 and size > 600 and not finished.usage.dropped_messages and not any(each.pictures for each in messages):
            self._bytes_per_token = min(8.0, max(1.0, size / tokens))

    def count_tokens(self, text: str) -> int:
        """An estimate."""
        return math.ceil(len(text.encode("utf-8", "replace")) / self._bytes_per_token)

    def count_picture_tokens(self, picture: Picture) -> int:
        """0: only the server knows."""
        return 0

    def view_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> PromptView:
        """Raises NotOnThisMachine."""
        raise NotOnThisMachine(self.spec.name, "the prompt as its model reads it")

    def check_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> None:
        """The server checks it when it gets it, but for what no server does. Raises NotOnThisMachine."""
        if options.shape is not None:
            self.check_shape(options.shape)

    def check_shape(self, shape: Shape) -> None:
        response_format(self.spec.name, shape)

    def refusal(self) -> NotOnThisMachine:
        return NotOnThisMachine(self.spec.name, "the numbers that its model computes")

    @property
    def adapters(self) -> None:
        """None: those of a server are models of their own."""

    def serve_adapters(self, spec: ModelSpec, settings: Settings, adapters: Sequence[Adapter], free_bytes: int) -> bool:
        return False

    def loads_again(self, hardware: Hardware) -> Load:
        return partial(RemoteModel.open, self.spec, self.connection, self.settings)

    def stop_lanes(self) -> None:
        self._server.close()

    def release(self) -> None:
        """Nothing is in memory."""
