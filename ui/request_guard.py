"""Which requests reach the page: those of its own pages and of programs, never those that another site makes a browser send.

Gradio answers any site with its cookies' rights where the host is not called localhost. Here, before Gradio:

- a request that another site caused is refused, unless it opens the page itself (a link, or the frame of a Space);
- on one's own machine, a host name that is none of this machine is refused: DNS rebinding makes a browser believe that another
  site's name is this server.

Programs send neither Origin nor Sec-Fetch-Site, and no cookies that they were not given: they are let through.
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

from .compat import put_first

OWN_SITES = ("same-origin", "none")         # of Sec-Fetch-Site, which a browser sets and no page can change; "none": a person's own doing
FILES, FILE_POLICY = "/gradio_api/file", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PRIVATE_PATHS = ("/gradio_api", "/logout")  # never opened by another site's link
FOREIGN_SITE = "This request comes from another site, which may not use this page."
UNKNOWN_HOST = ("This page is not known under the name {host!r}. Open it by its address, or name the host in MINDCUBES_ALLOWED_HOSTS.")


class RequestGuard:
    """ASGI middleware, which puts itself before Gradio's. `settings`: on a public page every host name is possible."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._hosts = None if settings.is_public else local_hosts(settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":     # the server starts: no request has come yet
            put_first(scope["app"], Middleware(RequestGuard, settings=self._settings))
        elif scope["type"] == "http":
            reason = refusal(scope["method"], scope["path"], Headers(scope=scope), self._hosts)
            if reason:
                await JSONResponse({"error": reason}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, harmless_files(send) if scope["type"] == "http" and scope["path"].startswith(FILES) else send)


def harmless_files(send: Send) -> Send:
    """A file that a program wrote is not a page of this server: nothing in it runs, should a browser show it."""
    async def limited(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Content-Security-Policy"] = FILE_POLICY
        await send(message)

    return limited


def refusal(method: str, path: str, headers: Mapping[str, str], hosts: Collection[str] | None) -> str:
    """Why a request is refused, or "". `hosts`: the names of this machine; None for any."""
    host = host_name(headers.get("host", ""))
    if hosts is not None and host not in hosts and not is_address(host):
        return UNKNOWN_HOST.format(host=host[:100])
    return "" if is_own(headers) or opens_page(method, path, headers) else FOREIGN_SITE


def is_own(headers: Mapping[str, str]) -> bool:
    """Whether a page of this server, a person or a program sends the request."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in OWN_SITES
    return origin is None or origin.rpartition("://")[2] in (headers.get("host"), headers.get("x-forwarded-host"))


def opens_page(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether it is a link to the page, or the frame that shows it."""
    return method == "GET" and headers.get("sec-fetch-mode") == "navigate" and not path.startswith(PRIVATE_PATHS)


def host_name(host: str) -> str:
    """Without the port."""
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
