"""Talks to one server in a thread of its own, whose event loop can end a request at once."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import EngineError, MessageTooLong
from ..messages import GenerationOptions, Message, StreamEvent, Waiting
from .connection import Connection
from .errors import RemoteFailed, RemoteModelMissing
from .failures import as_engine_error, cut_off
from .reply import Piece, RemoteReply, piece_of
from .request import RequestBody, request_body

if TYPE_CHECKING:
    from openai import AsyncOpenAI

HEARTBEAT_S = 0.1       # longest time between two events of a reply
CONNECT_S, SILENCE_S, LOOK_S = 10.0, 300.0, 30.0    # to connect; between two pieces of a reply; for the list of models
MAX_MODELS = 1000
OPTIONAL = frozenset(("stream_options", "reasoning_effort"))     # fields of OpenAI's API that a server may not know
LEFT_OUT_NOTE = "Left out, because the server does not know it: {names}."
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoteModelInfo:
    """A model that a server offers. `window_tokens`: 0 if the server does not say."""

    name: str
    window_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _End:
    """The last item of a request's queue. `error`: why it failed. `notes`: what was left out of it."""

    error: EngineError | None = None
    notes: tuple[str, ...] = ()


class RemoteServer:
    """Safe to use from several threads. `silence_s`: how long the server may be silent within a reply."""

    def __init__(self, connection: Connection, silence_s: float = SILENCE_S) -> None:
        import httpx2
        from openai import AsyncOpenAI, Omit

        self.connection = connection
        # The library would fill in what the environment holds for OpenAI; that is nothing for other servers.
        self._client: AsyncOpenAI = AsyncOpenAI(
            base_url=connection.address, api_key=connection.key.reveal() or "none", organization="", project="", max_retries=0,
            timeout=httpx2.Timeout(silence_s, connect=CONNECT_S),
            default_headers={"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()})      # type: ignore[dict-item]
        self._loop = asyncio.new_event_loop()
        self._closed = threading.Event()
        self._running = 0
        self._thread = threading.Thread(target=self._run, name="remote", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _end(self) -> None:
        requests = asyncio.all_tasks() - {asyncio.current_task()}
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        with suppress(Exception):       # of connections that the server has closed
            await self._client.close()

    @property
    def running(self) -> int:
        """Replies in progress."""
        return self._running

    def close(self) -> None:
        """End every reply, and the connections."""
        if not self._closed.is_set():
            self._closed.set()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CONNECT_S)

    # --- what it offers ---

    def models(self) -> tuple[RemoteModelInfo, ...]:
        """Raises RemoteUnreachable, RemoteKeyRefused, RemoteBusy and RemoteFailed."""
        return self._wait_for(self._models())

    def find(self) -> RemoteModelInfo:
        """The connection's model. One that is not listed is asked for a token: a list may lack names that the server knows.

        Raises RemoteModelMissing and what `models` raises.
        """
        wanted = self.connection.model
        try:
            offered = self.models()
        except (RemoteFailed, RemoteModelMissing):      # it has no list
            offered = ()
        if found := next((each for each in offered if each.name == wanted), None):
            return found
        try:
            for _ in self.chat((Message("user", "Hello"),), GenerationOptions(max_new_tokens=1)):
                pass
        except RemoteModelMissing as error:
            names = ", ".join(each.name for each in offered[:10])
            raise RemoteModelMissing(self.connection.name, wanted, f"it offers {names}" if names else error.detail) from error
        return RemoteModelInfo(wanted)

    async def _models(self) -> tuple[RemoteModelInfo, ...]:
        found = await self._client.models.list(timeout=LOOK_S)
        return tuple(RemoteModelInfo(str(each.id)[:300], _window(each)) for each in found.data[:MAX_MODELS])

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except Exception as error:
            raise as_engine_error(error, self.connection) from error

    # --- replies ---

    def chat(self, messages: Sequence[Message], options: GenerationOptions,
             stop: threading.Event | None = None) -> Generator[StreamEvent, None, None]:
        """Stream one reply; the last event is Finished. Closing the generator, or setting `stop`, ends the request at once.

        If the server refuses a chat as too long, its oldest turns are left out, as for a model of this machine. Raises MessageTooLong,
        RemoteUnreachable, RemoteKeyRefused, RemoteModelMissing, RemoteBusy and RemoteFailed.
        """
        kept, dropped = list(messages), 0
        while True:
            try:
                yield from self._one_reply(kept, options, stop, dropped)
                return
            except MessageTooLong as error:     # before the reply began
                shorter = _without_oldest(kept, error.window_tokens / error.tokens)
                if len(shorter) == len(kept):
                    raise
                kept, dropped = shorter, dropped + len(kept) - len(shorter)

    def _one_reply(self, messages: Sequence[Message], options: GenerationOptions, stop: threading.Event | None,
                   dropped: int) -> Generator[StreamEvent, None, None]:
        body, reply = request_body(self.connection.model, messages, options), RemoteReply(options.callable_tools)
        pieces: queue.SimpleQueue[Piece | _End] = queue.SimpleQueue()
        self._running += 1
        request = asyncio.run_coroutine_threadsafe(self._stream(body, pieces.put), self._loop)
        is_stopped = False
        try:
            while True:
                if self._closed.is_set() or (stop is not None and stop.is_set()):
                    is_stopped, notes = True, body.notes
                    break
                try:
                    item = pieces.get(timeout=HEARTBEAT_S)
                except queue.Empty:
                    yield Waiting(0, reply.seconds)
                    continue
                if isinstance(item, _End):
                    notes = (*body.notes, *item.notes)
                    if isinstance(item.error, MessageTooLong) and reply.has_begun:      # only before it can a shorter chat be sent
                        raise RemoteFailed(self.connection.name, str(item.error)) from item.error
                    if item.error is not None:
                        raise item.error
                    if not reply.is_complete:
                        raise cut_off(self.connection)
                    break
                yield from reply.feed(item)
        finally:
            self._running -= 1
            request.cancel()
        yield from reply.flush()
        if options.shape is not None and not is_stopped and not reply.has_calls:
            notes += reply.shape_notes(messages[-1].content if messages[-1].role == "assistant" else "")
        yield reply.finished(is_stopped=is_stopped, notes=notes, dropped_messages=dropped)

    async def _stream(self, body: RequestBody, put: Callable[[Piece | _End], None]) -> None:
        try:
            stream, notes = await self._open(body)
            async with stream:
                async for chunk in stream:
                    put(piece_of(chunk))
            put(_End(notes=notes))
        except Exception as error:
            put(_End(as_engine_error(error, self.connection)))

    async def _open(self, body: RequestBody) -> tuple[Any, tuple[str, ...]]:
        """Begin the request; without the options that the server does not know, if it names them in its refusal."""
        from openai import APIStatusError

        fields, extras = dict(body.fields), dict(body.extras)
        left_out: list[str] = []
        while True:
            try:
                stream = await self._client.chat.completions.create(**fields, extra_body=extras)
                notes = (LEFT_OUT_NOTE.format(names=", ".join(left_out)),) if left_out else ()
                return stream, notes
            except APIStatusError as error:
                if error.status_code not in (400, 422):
                    raise
                refused = str(error.body or error)
                if "max_completion_tokens" in refused and "max_tokens" in fields:       # of OpenAI's newer models
                    fields["max_completion_tokens"] = fields.pop("max_tokens")
                    continue
                unknown = [name for name in (*extras, *OPTIONAL & fields.keys()) if name in refused]
                if not unknown:
                    raise
                left_out += unknown
                fields, extras = ({name: value for name, value in each.items() if name not in unknown} for each in (fields, extras))


def _window(model: Any) -> int:
    """vLLM and SGLang say it as max_model_len, MindCubes and others as context_window or context_length, llama.cpp in meta."""
    found = model.model_extra or {}
    meta = found.get("meta")
    sizes = (*(found.get(name) for name in ("max_model_len", "context_window", "context_length")),
             meta.get("n_ctx") if isinstance(meta, dict) else None)
    return next((int(size) for size in sizes if isinstance(size, int) and size > 0), 0)


def _without_oldest(messages: list[Message], share: float) -> list[Message]:
    """Drop the oldest turns until at most `share` of the text is left, at least one; the system prompt and the last question stay."""
    start = 1 if messages and messages[0].role == "system" else 0
    turns = [place for place in range(start, len(messages)) if messages[place].role == "user"]
    wanted = 0.9 * share * sum(len(each.content) for each in messages)
    for place in turns[1:]:
        kept = [*messages[:start], *messages[place:]]
        if place == turns[-1] or sum(len(each.content) for each in kept) <= wanted:
            return kept
    return messages


