"""The API's addresses, and how it is put beside the page in the same server."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine import Engine, EngineError

from .chat import ChatWriter
from .completions import CompletionWriter, prompts_of
from .conversion import (
    chat_options,
    completion_options,
    has_pictures,
    input_of,
    messages_of,
    response_options,
    with_seed,
)
from .embeddings import add_embedding_route
from .errors import JSON, ApiError, answer
from .keys import KeyGuard, Keys
from .loading import add_model_routes
from .metrics import RequestCounter
from .requests import ChatRequest, CompletionRequest, ResponsesRequest, TokenSampling
from .responses import ResponseWriter, require_stateless
from .serving import DEFAULT, Server, fingerprint, model_id

PATHS = ("/v1", "/v1/{path:path}", "/health", "/metrics", "/load_model")       # everything else is the page's
MAX_BODY_BYTES = 64_000_000         # two of the largest pictures, in base64
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text} for status, text in (
        (400, "The request cannot be answered as it is; `param` names the field"), (401, "A key is needed"),
        (404, "Another model is loaded"), (429, "Too many replies are in progress"), (503, "No model is loaded"))}


def routes(engine: Engine) -> list[BaseRoute]:
    """The routes that a page's server needs for the API, before its own."""
    api = build_api(engine)
    return [Route(path, api, include_in_schema=False) for path in PATHS]


def build_api(engine: Engine) -> FastAPI:
    """The API as an application of its own; it answers the addresses in PATHS."""
    server = Server(engine)
    # auto_error is off because KeyGuard has decided before; this only describes the keys.
    api = FastAPI(title="MindCubes", description="An API like OpenAI's, for the model that MindCubes has loaded.", version="1",
                  openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None, responses=ERRORS, max_body_size=MAX_BODY_BYTES,
                  dependencies=[Depends(HTTPBearer(auto_error=False))])
    api.add_middleware(KeyGuard, keys=Keys(engine))
    if origins := engine.settings.api_origins:      # before the keys: a browser asks without them whether it may ask
        api.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST"],
                           allow_headers=["Authorization", "Content-Type"], expose_headers=["Retry-After", "Warning"])
    api.add_middleware(RequestCounter, metrics=server.metrics)
    for kind in (ApiError, EngineError, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(kind, _answer)
    add_reply_routes(api, server)
    add_embedding_route(api, server)
    add_model_routes(api, server)
    add_state_routes(api, server)
    return api


async def _answer(request: Request, error: Exception) -> Response:
    return answer(error)


def add_reply_routes(api: FastAPI, server: Server) -> None:
    engine = server.engine

    @api.post("/v1/chat/completions")
    async def create_chat_completion(request: Request, body: ChatRequest) -> Response:
        """Reply to a chat, as one object or, with `stream`, as server-sent events."""
        ignored = body.ignored() + _stream_fields(body)
        spec = server.require_model(body.model)
        options = chat_options(body, server.defaults(body.model, body.reasoning_effort))
        is_slow, count = has_pictures(body.messages), body.n or 1
        messages, more = await server.work(lambda: messages_of(body.messages)) if is_slow else messages_of(body.messages)
        writer = ChatWriter(_name(body, server), fingerprint(engine.spec, options.adapter), count, has_scores=bool(body.logprobs),
                            has_usage=_has_usage(body))
        return await server.answer(
            request, writer, lambda number, stop, visitor: engine.chat(
                messages, with_seed(options, number), spec=spec, stop=stop, visitor=visitor),
            count, is_stream=bool(body.stream), ignored=ignored + more)

    @api.post("/v1/completions")
    async def create_completion(request: Request, body: CompletionRequest) -> Response:
        """Continue texts, or token ids, without a chat template."""
        ignored = body.ignored() + _stream_fields(body)
        spec = server.require_model(body.model)
        options, prompts, each = completion_options(body, server.defaults(body.model)), prompts_of(body), body.n or 1
        writer = CompletionWriter(_name(body, server), fingerprint(engine.spec, options.adapter), each * len(prompts), each,
                                  has_scores=body.logprobs is not None, has_usage=_has_usage(body))
        return await server.answer(
            request, writer, lambda number, stop, visitor: engine.complete(
                prompts[number // each], with_seed(options, number % each), spec=spec, stop=stop, visitor=visitor),
            each * len(prompts), is_stream=bool(body.stream), ignored=ignored)

    @api.post("/v1/responses")
    async def create_response(request: Request, body: ResponsesRequest) -> Response:
        """Reply to a text or to items. Nothing is stored, so a request contains the whole conversation."""
        require_stateless(body)
        ignored = body.ignored() + _stream_fields(body) + _of_parts(body)
        spec = server.require_model(body.model)
        options = response_options(body, server.defaults(body.model, body.reasoning.effort if body.reasoning else None))
        is_slow = not isinstance(body.input, str) and has_pictures(body.input)
        messages, more = await server.work(lambda: input_of(body)) if is_slow else input_of(body)
        return await server.answer(
            request, ResponseWriter(body, _name(body, server), options), lambda number, stop, visitor: engine.chat(
                messages, options, spec=spec, stop=stop, visitor=visitor), 1, is_stream=bool(body.stream), ignored=ignored + more)


def add_state_routes(api: FastAPI, server: Server) -> None:
    @api.get("/health")
    async def health() -> Response:
        """Whether a model is ready; 503 while none is. The only address that never needs a key."""
        state = server.engine.status().state
        is_ready = state in ("ready", "asleep")         # asleep: the next request wakes it
        return JSON({"status": "ok" if is_ready else "unavailable", "state": state}, 200 if is_ready else 503)

    @api.get("/metrics")
    async def metrics() -> Response:
        """The format of Prometheus."""
        return Response(await server.work(server.metrics.text), media_type="text/plain; version=0.0.4; charset=utf-8")


def _stream_fields(body: Any) -> tuple[str, ...]:
    options = body.stream_options
    return options.ignored("stream_options.", frozenset(("include_obfuscation",))) if options else ()


def _has_usage(body: TokenSampling) -> bool:
    return bool(body.stream_options and body.stream_options.include_usage)


def _name(body: Any, server: Server) -> str:
    """The model's name in an answer."""
    specs = server.specs()
    return model_id(specs[0].base) if specs and body.model == DEFAULT else body.model


def _of_parts(body: ResponsesRequest) -> tuple[str, ...]:
    return (body.reasoning.ignored("reasoning.") if body.reasoning else ()) + (body.text.ignored("text.") if body.text else ())
