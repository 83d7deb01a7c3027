"""Errors of the API, in OpenAI's shape: {"error": {"message", "type", "param", "code"}}.

| status | code | what happened |
|---|---|---|
| 400 | invalid_value, unsupported_parameter, unsupported_by_model, context_length_exceeded | the request cannot be answered as it is |
| 401, 403 | invalid_api_key, not_permitted | a key is needed, or this one does not permit it |
| 404 | model_not_found, not_found | another model is loaded, or there is no such address |
| 429 | engine_busy | too many replies are in progress; `Retry-After` says when to try again |
| 500 | server_error | a mistake of the server, which its log describes |
| 501 | not_implemented | this server cannot do that |
| 502 | remote_failed | the model runs on another server, which did not answer |
| 503 | no_model_loaded, stopped, out_of_memory | no model is loaded, or it was unloaded meanwhile |
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from engine import EngineError
from engine.errors import (
    AttachmentRefused,
    ChatTemplateFailed,
    EngineBusy,
    InvalidRequest,
    LoadError,
    MessageTooLong,
    ModelNotFound,
    NoModelLoaded,
    NotOnThisMachine,
    NotPermitted,
    OutOfMemory,
    TooManyMessages,
    TooManyTokens,
)
from engine.pipelines import NotAChatModel, NoTaskModel
from engine.remote import RemoteBusy, RemoteError

log = logging.getLogger(__name__)
RETRY_AFTER_S = 5
MAX_SHOWN = 300         # characters of a value that an error repeats
# The engine's names of options, where the API has other ones.
FIELDS = {"max_new_tokens": "max_tokens", "ignores_end": "ignore_eos", "shape": "response_format", "message": "messages",
          "picture": "messages", "pictures": "messages", "content": "messages", "role": "messages", "reasoning": "messages",
          "the message": "messages", "a token of the prompt": "prompt"}
KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """An answer other than the one that was asked for. `param`: the field of the request that caused it."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param, self.headers = status, code, message, param, dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        kind = KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class JSON(Response):
    """JSON whose texts may contain anything, also halves of surrogate pairs, which UTF-8 has no bytes for."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)


def to_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def answer(error: Exception) -> JSON:
    found = api_error(error)
    return JSON(found.body, found.status, found.headers)


def api_error(error: Exception) -> ApiError:
    """The error as clients get it. What nobody expected is logged, and described by one sentence without details."""
    match error:
        case ApiError():
            return error
        case RequestValidationError():
            return _invalid(error.errors())
        case HTTPException():
            code = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}.get(error.status_code, "invalid_request")
            return ApiError(error.status_code, code, str(error.detail), headers=error.headers)
        case EngineError():
            return _of_engine(error)
    log.error("unexpected error", exc_info=error)
    return ApiError(500, "server_error", "The server made a mistake, which its log describes. Send the request again.")


def _of_engine(error: EngineError) -> ApiError:
    message = str(error)
    match error:
        case MessageTooLong():
            return ApiError(400, "context_length_exceeded", message, "messages")
        case InvalidRequest():
            name = error.name.partition(" (")[0]
            return ApiError(400, "invalid_value", message[:MAX_SHOWN + 200], FIELDS.get(name, name))
        case AttachmentRefused():
            return ApiError(400, "invalid_image", message, "messages")
        case ChatTemplateFailed():
            return ApiError(400, "invalid_value", message, "messages")
        case TooManyMessages() | TooManyTokens():
            return ApiError(429, "rate_limit_exceeded", message, headers={"Retry-After": str(ceil(error.retry_after_s))})
        case EngineBusy():
            return ApiError(429, "engine_busy", message, headers={"Retry-After": str(RETRY_AFTER_S)})
        case NoModelLoaded():
            return ApiError(503, "no_model_loaded", message)
        case NotPermitted():
            return ApiError(403, "not_permitted", message)
        case NotOnThisMachine() | NotAChatModel() | NoTaskModel():
            return ApiError(400, "unsupported_by_model", message)
        case RemoteBusy():
            return ApiError(429, "engine_busy", message, headers={"Retry-After": str(ceil(error.retry_after_s))})
        case RemoteError():
            return ApiError(502, "remote_failed", message)
        case OutOfMemory():
            return ApiError(503, "out_of_memory", message)
        case ModelNotFound():
            return ApiError(404, "model_not_found", message, "model")
        case LoadError():
            return ApiError(400, "model_not_loadable", message, "model")
    return ApiError(500, "server_error", message)


def _invalid(errors: Sequence[Any]) -> ApiError:
    """The first of pydantic's errors, with the place of the value in the request."""
    first = errors[0] if errors else {}
    place = ".".join(str(part) for part in first.get("loc", ()) if part not in ("body", "path", "query")) or None
    message = f"{place or 'The request'}: {str(first.get('msg', 'it is not valid'))[:MAX_SHOWN]}."
    return ApiError(400, "missing_required_parameter" if first.get("type") == "missing" else "invalid_value", message, place)
