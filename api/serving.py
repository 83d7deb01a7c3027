"""What the endpoints share: the engine, which model a request names, and how a request becomes an answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from engine import Engine, EngineError, GenerationOptions, ModelSpec, StreamEvent
from engine.messages import Effort

from .errors import JSON, ApiError, api_error
from .fields import warning
from .keys import CALLER, Caller
from .metrics import Metrics
from .replies import FIRST_S, Alarm, Collected, Places, Replies
from .writing import EventStream, Writer, now

DEFAULT = "default"     # a name for whichever model is loaded
WORK_THREADS = 4        # for what blocks and is no reply: decoding pictures, following a load

Begin = Callable[[int, threading.Event, str], Generator[StreamEvent, None, None]]       # of the choice with a number, for a visitor
T = TypeVar("T")


class Server:
    """One for each engine. Used by the event loop only."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.metrics = Metrics(engine)
        self.started = now()
        self._places = Places()
        self._alarm: Alarm | None = None
        self._limiter: anyio.CapacityLimiter | None = None

    def require_model(self, name: str) -> ModelSpec | None:
        """The model of that name, if it is loaded, or about to be; None for the default name. Raises ApiError."""
        specs = self.specs()
        if name == DEFAULT or not specs:        # without a model, the engine says so
            return None
        found = self._find(name)
        if found is None:
            raise ApiError(404, "model_not_found", f"The model {name!r} is not loaded here. “{model_id(specs[0])}” is; "
                           f"“{DEFAULT}” stands for whichever model is loaded.", "model")
        return found[0]

    def adapter_of(self, name: str) -> str | None:
        """The adapter that a model's name means: "" for that of the base; None where that is left to the engine."""
        found = None if name == DEFAULT else self._find(name)
        return found[1] if found else None

    def _find(self, name: str) -> tuple[ModelSpec, str | None] | None:
        """The model that has this name, and the adapter that the name means. The name of a base is never that of an adapter."""
        models = self.engine.served
        for spec, adapters in models:
            if name in (model_id(spec.base), spec.base.name, spec.model):
                return spec, "" if adapters else None
        for spec, adapters in models:
            if name == spec.name:
                return spec, None
            for adapter in adapters:
                if name in (f"{model_id(spec.base)}:{adapter}", f"{spec.base.name}:{adapter}", adapter):
                    return spec, adapter
        return None

    def defaults(self, name: str, effort: Effort | None = None) -> GenerationOptions:
        """The options of a request for the model of this name, where it gives none."""
        return replace(self.engine.default_options(effort), adapter=self.adapter_of(name))

    def specs(self) -> list[ModelSpec]:
        """The loaded model, and one that is being loaded, or will be with the next request."""
        return [spec for spec, _ in self.engine.served]

    async def answer(self, request: Request, writer: Writer, begin: Begin, count: int, *, is_stream: bool,
                     ignored: Sequence[str] = ()) -> Response:
        """Generate `count` replies and write them, as they come or as a whole. Raises what the engine raises before the first token."""
        caller = caller_of(request)
        most = self.engine.visitors.limits.replies_at_once
        if most and count > most:
            raise ApiError(400, "invalid_value", f"n is {count}, but it must be at most {most} here.", "n")
        try:
            self.engine.visitors.check(caller.name, count)
        except EngineError as error:
            raise api_error(error) from error
        replies = Replies(lambda number, stop: begin(number, stop, caller.name), count, self._places, self._alarm_here(),
                          self.metrics.finished)
        replies.stop_when_gone(request.receive)
        headers = warning(tuple(ignored))
        try:
            if is_stream:
                return EventStream(replies, await replies.take(FIRST_S), writer, headers)
            choices = [Collected() for _ in range(count)]
            async for batch in replies.batches():
                for number, event in batch:
                    choices[number].add(event)
        except Exception as error:
            replies.close()
            raise api_error(error) from None        # logged there, if nobody expected it
        except asyncio.CancelledError:
            replies.close()
            raise
        replies.close()
        return JSON(writer.whole(choices), headers=headers)

    def _alarm_here(self) -> Alarm:
        """That of the running loop: the server's, of which there is one."""
        loop = asyncio.get_running_loop()
        if self._alarm is None or self._alarm.loop is not loop:
            self._alarm = Alarm(loop, self._places)
        return self._alarm

    async def work(self, function: Callable[[], T]) -> T:
        """Run what blocks in a thread, of which there are few."""
        if self._limiter is None:       # belongs to the running loop
            self._limiter = anyio.CapacityLimiter(WORK_THREADS)
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)


def caller_of(request: Request) -> Caller:
    caller: Caller = request.scope[CALLER]
    return caller


def model_id(spec: ModelSpec) -> str:
    """The name under which clients know a model: owner/name, or the name of its folder or connection."""
    return spec.name if spec.is_remote or Path(spec.model).is_absolute() else spec.model


def fingerprint(spec: ModelSpec | None, adapter: str | None = None) -> str:
    """Equal for replies that the same weights in the same precision gave. `adapter`: the reply's, if it chose one."""
    spec = spec if spec is None or adapter is None else replace(spec, adapter=adapter or None)
    return f"fp_{sha256(repr(spec).encode()).hexdigest()[:12]}"


def descriptions(server: Server) -> list[dict[str, Any]]:
    """The loaded model, and each of its adapters as a model of its own."""
    served = server.engine.served[:1]
    return [*(description(spec, server) for spec, _ in served), *(
        {**description(spec, server), "id": f"{model_id(spec.base)}:{adapter}", "parent": model_id(spec.base)}
        for spec, adapters in served for adapter in adapters)]


def description(spec: ModelSpec, server: Server) -> dict[str, Any]:
    """A model as /v1/models lists it, with what is known of it beyond OpenAI's fields."""
    status = server.engine.status()
    is_ready = status.state == "ready" and status.model == spec.name
    return {"id": model_id(spec.base), "object": "model", "created": server.started, "owned_by": "mindcubes", "state": status.state,
            "quantization": str(spec.quantization), **({
                "max_model_len": status.window_tokens, "dtype": status.dtype, "device": status.device, "lane": status.lane,
                "reasoning_efforts": list(status.thinking.efforts)} if is_ready else {})}
