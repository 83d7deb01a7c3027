"""Decides which requests reach the page and the API beside it: none that another site makes a browser send.

Unless the host is called localhost, Gradio answers requests that any site makes a browser send, with the visitor's cookies. So before
Gradio sees a request:

- one that another site caused is refused, unless it opens the page itself (a link, or the frame of a Space);
- on a private page, one for a host name that this machine does not have is refused, because of DNS rebinding: an attacker's host
  name that leads to this server;
- one for a route that neither the page nor programs need is not found, such as those with which Gradio fetches another address;
- on a public page, one with a body larger than MAX_REQUEST_BYTES is refused before it is read, or read no further.

Programs are let through: they send neither Origin nor Sec-Fetch-Site, and no cookies but those that their user gave them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine import Settings
from engine.public_mode import MAX_REQUEST_BYTES

from .compat import put_first

OWN_SITES = ("same-origin", "none")         # values of Sec-Fetch-Site, which only browsers can set; "none": opened by the user
FILES, FILE_POLICY = "/gradio_api/file", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PRIVATE_PATHS = ("/gradio_api", "/logout", "/v1", "/metrics", "/load_model")     # not for links on other sites
# tests/ui/approved_endpoints.txt lists the routes of the server that remain.
ROUTES = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon", "/logout", "/login",
          "/login/huggingface", "/login/callback", *(f"/gradio_api/{name}" for name in (
              "info", "openapi.json", "app_id", "user", "login_check", "startup-events", "queue/join", "queue/data", "cancel", "reset",
              "upload", "upload_progress", "theme.css")), "/v1", "/health", "/metrics", "/load_model")
ROUTES_BELOW = ("/static/", "/assets/", "/svelte/", "/pwa_icon/", "/v1/", *(f"/gradio_api/{name}" for name in (
    "heartbeat/", "call/", "run/", "api/", "file=", "file/")))
MCP = "/gradio_api/mcp"
NOTHING = "There is nothing at this address."
TOO_LARGE = f"A request to this page may have at most {MAX_REQUEST_BYTES >> 20} MiB."
FOREIGN_SITE = "This request comes from another site, which may not use this page."
UNKNOWN_HOST = ("This page is not known under the name {host!r}. Open it by its address, or name the host in MINDCUBES_ALLOWED_HOSTS.")


class RequestGuard:
    """ASGI middleware that puts itself before Gradio's. With the settings of a public page, every host name is allowed."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._hosts = None if settings.is_public else local_hosts(settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":     # the server starts: no request has come yet
            put_first(scope["app"], Middleware(RequestGuard, settings=self._settings))
        elif scope["type"] == "http":
            headers = Headers(scope=scope)
            if reason := refusal(scope["method"], scope["path"], headers, self._hosts, self._settings.api_origins):
                await JSONResponse({"error": reason}, 403)(scope, receive, send)
                return
            if not is_route(scope["path"], has_mcp=self._settings.has_mcp):
                await JSONResponse({"error": NOTHING}, 404)(scope, receive, send)
                return
            if self._settings.is_public and is_too_large(headers):
                await JSONResponse({"error": TOO_LARGE}, 413)(scope, receive, send)
                return
            receive = limited(receive) if self._settings.is_public else receive
            send = harmless_files(send) if scope["path"].startswith(FILES) else send
        await self._app(scope, receive, send)


def limited(receive: Receive) -> Receive:
    """Wrap `receive` for a request that does not say its length: after MAX_REQUEST_BYTES it looks as if the client had left."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return message if received <= MAX_REQUEST_BYTES else {"type": "http.disconnect"}

    return counted


def harmless_files(send: Send) -> Send:
    """Wrap `send` for a file. A program may have written it, so its headers keep a browser from running scripts in it."""
    async def limited(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Content-Security-Policy"] = FILE_POLICY
        await send(message)

    return limited


def refusal(method: str, path: str, headers: Mapping[str, str], hosts: Collection[str] | None, invited: Collection[str] = ()) -> str:
    """Return why a request is refused, or "". `hosts`: the names of this machine; None allows any. `invited`: sites that use the API."""
    host = host_name(headers.get("host", ""))
    if hosts is not None and host not in hosts and not is_address(host):
        return UNKNOWN_HOST.format(host=host[:100])
    is_invited = path.startswith("/v1/") and headers.get("origin") in invited
    return "" if is_own(headers) or is_invited or opens_page(method, path, headers) else FOREIGN_SITE


def is_route(path: str, *, has_mcp: bool = False) -> bool:
    """Whether the page or programs need this route. A file is never one at another address."""
    if f"{path}/".startswith(f"{MCP}/"):
        return has_mcp
    if path.startswith(FILES):
        return path.startswith(ROUTES_BELOW) and "://" not in path
    return (path.rstrip("/") or "/") in ROUTES or path.startswith(ROUTES_BELOW)


def is_too_large(headers: Mapping[str, str]) -> bool:
    """Whether a body says that it exceeds MAX_REQUEST_BYTES."""
    length = headers.get("content-length", "0")
    return not length.isdigit() or int(length) > MAX_REQUEST_BYTES


def is_own(headers: Mapping[str, str]) -> bool:
    """Whether the request comes from a page of this server, from the user, or from a program."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in OWN_SITES
    return origin is None or origin.rpartition("://")[2] in (headers.get("host"), headers.get("x-forwarded-host"))


def opens_page(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether the request opens the page, through a link or in a frame."""
    return method == "GET" and headers.get("sec-fetch-mode") == "navigate" and not path.startswith(PRIVATE_PATHS)


def host_name(host: str) -> str:
    """Return the host without its port."""
    return host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0].lower().rstrip(".")


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def local_hosts(allowed: Collection[str]) -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({"", "localhost", name, name.partition(".")[0], f"{name.partition('.')[0]}.local", *map(str.lower, allowed)})
