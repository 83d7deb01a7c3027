"""A model on another server as a provider, for a program without an engine: the Code agent can use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from ..messages import GenerationOptions, Message, StreamEvent
from ..remote import Connection, RemoteServer
from ..settings import Secret


class RemoteProvider:
    """Any server with OpenAI's API: vLLM, SGLang, TGI, llama.cpp, Hugging Face Inference Providers.

    `address`: with the port, or up to /v1. Raises InvalidRequest; `chat` raises RemoteError and its subclasses.
    """

    def __init__(self, address: str, model: str, key: str = "") -> None:
        self._server = RemoteServer(Connection("remote", address, model, Secret(key)))

    @property
    def name(self) -> str:
        return self._server.connection.model

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        return self._server.chat(messages, options)

    def close(self) -> None:
        """End every reply, and the connections."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
