"""/v1/embeddings: texts as vectors of the embedding model, which is beside the chat model and loaded when it is needed."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.responses import Response

from engine import Engine
from engine.errors import EngineBusy, TooManyReplies

from .errors import JSON, ApiError
from .fields import warning
from .requests import EmbeddingsRequest
from .serving import DEFAULT, Server, caller_of

AT_ONCE = 2             # requests that compute; others wait
NO_EMBEDDINGS = "This server has no embedding model: its operator has set MINDCUBES_EMBEDDER to none."


def add_embedding_route(api: FastAPI, server: Server) -> None:
    turns = Turns(server.engine)

    @api.post("/v1/embeddings", responses={501: {"description": NO_EMBEDDINGS}})
    async def create_embeddings(request: Request, body: EmbeddingsRequest) -> Response:
        """Turn texts into vectors of length 1."""
        ignored, texts, visitor, stop = body.ignored(), _texts(body), caller_of(request).name, threading.Event()
        watch = asyncio.create_task(_stop_when_gone(request, stop))
        try:
            async with turns.turn(visitor, sum(map(len, texts))) as limiter:
                content = await anyio.to_thread.run_sync(lambda: _computed(server, body, texts, visitor, stop), limiter=limiter)
        except CancelledError:
            raise ApiError(503, "stopped", "The client has gone.") from None
        finally:
            watch.cancel()
        return JSON(content, headers=warning(ignored))


class Turns:
    """Whose requests wait, and whose compute: of one visitor one at a time. Used by the event loop only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._limiter: anyio.CapacityLimiter | None = None
        self._asked: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def turn(self, visitor: str, chars: int) -> AsyncIterator[anyio.CapacityLimiter]:
        """Wait for the visitor's turn. Requests that wait count as replies do. Raises EngineBusy and InvalidRequest, before it waits."""
        visitors, settings = self._engine.visitors, self._engine.settings
        visitors.check(visitor, 1, chars)
        most = visitors.limits.replies_at_once if visitor else 0
        if most and self._asked[visitor] >= most:
            raise TooManyReplies(most)
        if settings.is_public and self._asked.total() >= settings.max_waiting:
            raise EngineBusy(f"{self._asked.total()} requests for vectors wait", "Try again in a minute.")
        self._limiter = self._limiter or anyio.CapacityLimiter(AT_ONCE)      # belongs to the running loop
        self._asked[visitor] += 1
        try:
            async with self._locks.setdefault(visitor, asyncio.Lock()):
                yield self._limiter
        finally:
            self._asked[visitor] -= 1
            if not self._asked[visitor]:
                del self._asked[visitor], self._locks[visitor]


def _computed(server: Server, body: EmbeddingsRequest, texts: list[str], visitor: str, stop: threading.Event) -> dict[str, Any]:
    embedders = server.engine.embedders
    if not embedders.name:
        raise ApiError(501, "not_implemented", NO_EMBEDDINGS)
    info = embedders.info()
    if body.model not in (DEFAULT, info.name):
        raise ApiError(404, "model_not_found", f"The embedding model {body.model!r} is not used here. “{info.name}” is; “{DEFAULT}” stands "
                       "for whichever it is.", "model")
    if not info.is_usable:
        raise ApiError(503, "no_model_loaded", info.problem or f"The embedding model “{info.name}” is not on this server's disk. Download "
                       "it on the page, or with `hf download`.")
    if body.dimensions not in (None, info.dimensions):
        raise ApiError(400, "unsupported_by_model", f"The vectors of this model have {info.dimensions} numbers.", "dimensions")
    with server.engine.visitors.reply(visitor, sum(map(len, texts))) as count:
        lengths = embedders.lengths(texts, body.input_type, stop=stop)
        if (longest := max(lengths)) > info.window_tokens:
            raise ApiError(400, "context_length_exceeded", f"input.{lengths.index(longest)} has {longest:,} tokens, but this model reads "
                           f"{info.window_tokens:,}. Send it in parts.", "input")
        vectors = embedders.embed(texts, body.input_type, stop=stop)
        count(sum(lengths), 0)
    is_packed = body.encoding_format == "base64"
    data = [{"object": "embedding", "index": number,
             "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode() if is_packed else vector.tolist()}
            for number, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": info.name, "usage": {"prompt_tokens": sum(lengths), "total_tokens": sum(lengths)}}


def _texts(body: EmbeddingsRequest) -> list[str]:
    given = [body.input] if isinstance(body.input, str) else body.input
    texts = [each for each in given if isinstance(each, str)]
    if len(texts) < len(given):
        raise ApiError(400, "unsupported_by_model", "input has token ids, which mean nothing to this model. Send texts.", "input")
    if not texts or not all(text.strip() for text in texts):
        raise ApiError(400, "invalid_value", "input must be a text or texts, none of them empty.", "input")
    return texts


async def _stop_when_gone(request: Request, stop: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stop.set()
