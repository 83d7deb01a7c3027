"""What goes wrong at another server, as the engine's errors. A key never appears in one, also if the server repeats it."""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import EngineError, MessageTooLong
from .connection import Connection
from .errors import RemoteBusy, RemoteFailed, RemoteKeyRefused, RemoteModelMissing, RemoteUnreachable

MAX_DETAIL = 300
TOO_LONG = re.compile(r"context.length|context.window|maximum context|context.size|n_ctx|max_new_tokens.{0,20} must be <=", re.I)
TOO_LONG_CODES = ("context_length_exceeded", "exceed_context_size_error")
WINDOW = re.compile(r"(?:context length (?:is|of)|context window (?:is|of)|must be <=|n_ctx\W*)\s*(\d{1,9})", re.I)
ASKED = re.compile(r"(?:requested|you have|given:?|n_prompt_tokens\W*|passed|contains at least)\s*(\d{1,9})", re.I)
MAX_WAIT_S = 86_400.0
DEFAULT_WAIT_S = 10.0


def as_engine_error(error: Exception, connection: Connection) -> EngineError:
    """`error`: what the client library raised."""
    import httpx2
    from openai import APIConnectionError, APIError, APITimeoutError

    if isinstance(error, EngineError):
        return error
    response = getattr(error, "response", None)
    if response is not None:
        return _of_status(response.status_code, _detail(error), response.headers.get("retry-after", ""), connection)
    if isinstance(error, (APITimeoutError, httpx2.TimeoutException, TimeoutError)):
        return RemoteUnreachable(connection.name, "it did not answer in time")
    if isinstance(error, (APIConnectionError, httpx2.TransportError, OSError)):
        return RemoteUnreachable(connection.name, _masked(_cause(error), connection))
    if isinstance(error, APIError):     # in the middle of a stream
        return _of_status(0, _detail(error), "", connection)
    return RemoteFailed(connection.name, _masked(f"its answer could not be read ({type(error).__name__}: {error})", connection))


def cut_off(connection: Connection) -> RemoteFailed:
    """The connection ended before the server said that the reply did."""
    return RemoteFailed(connection.name, "it closed the connection before the reply was complete")


def _of_status(status: int, detail: str, retry_after: str, connection: Connection) -> EngineError:
    shown, name = _masked(detail, connection), connection.name
    if status in (401, 403):
        return RemoteKeyRefused(name, shown)
    if status == 404:
        return RemoteModelMissing(name, connection.model, shown)
    if status == 429:
        return RemoteBusy(name, _seconds(retry_after), shown)
    if status in (0, 400, 413, 422) and (too_long := _too_long(detail)):
        return too_long
    return RemoteFailed(name, f"it answered with {status}: {shown}" if status else shown)


def _too_long(detail: str) -> MessageTooLong | None:
    """The refusal of a prompt that does not fit. Servers say it in words, with the size of the window and of the prompt."""
    if not (TOO_LONG.search(detail) or any(code in detail for code in TOO_LONG_CODES)):
        return None
    window, asked = WINDOW.search(detail), ASKED.search(detail)
    return MessageTooLong(int(asked[1]), int(window[1])) if window and asked and int(asked[1]) > int(window[1]) > 0 else None


def _detail(error: Exception) -> str:
    body: Any = getattr(error, "body", None)
    body = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(body, dict):
        message = body.get("message") or body.get("detail")
        rest = {name: value for name, value in body.items() if isinstance(value, (int, str)) and name not in ("message", "detail")}
        return f"{message or ''} {json.dumps(rest) if rest else ''}".strip()
    text = str(body or getattr(error, "server_message", "") or error)
    return " ".join(text.split())


def _cause(error: BaseException) -> str:
    """The innermost cause, which says most: the address cannot be resolved, the connection was refused."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _masked(text: str, connection: Connection) -> str:
    key = connection.key.reveal()
    for written in (key, json.dumps(key)[1:-1]):
        text = text.replace(written, "***") if key else text
    shown = text
    return shown[:MAX_DETAIL]


def _seconds(retry_after: str) -> float:
    """Of the header: a number of seconds, or a date, for which a guess is good enough."""
    try:
        return min(MAX_WAIT_S, max(0.0, float(retry_after)))
    except ValueError:
        return DEFAULT_WAIT_S
