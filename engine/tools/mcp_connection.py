"""A connection to one MCP server, on the event loop of `McpServers`: started by the first call that needs it, and again after it ended."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import anyio
import httpx
from mcp import ClientSession, McpError, types

from .mcp_config import UNUSABLE, ServerConfig
from .mcp_transports import PrivateAddress, http_streams, program_streams

log = logging.getLogger(__name__)
START_S = 30.0          # for a server to start and to list its tools; `npx` may download it first
PING_S = 5.0            # for a server that did not answer a call to show that it still answers something
ENDING_S = 4.5          # for a program to be ended, as mcp_transports.py does it
RETRY_S = (1.0, 5.0, 15.0, 60.0)        # before a server that ended or could not be started is started again
MAX_PAGES = 20          # of its list of tools
SHOWN_STDERR_CHARS = 300
CLOSED = ("Connection closed", "Session terminated")        # with which the client answers the requests that are open


class ServerFailed(Exception):
    """A server cannot be used now. The text says why, without secrets."""


class McpConnection:
    """Every method is called on the event loop, so nothing here is locked."""

    def __init__(self, config: ServerConfig, *, is_public: bool) -> None:
        self.config, self._is_public = config, is_public
        self.listed: tuple[types.Tool, ...] | None = None       # None: not yet, or they have changed
        self.problem = ""
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[ClientSession] | None = None
        self._ending, self._reason = asyncio.Event(), ""
        self._stderr: list[str] = []
        self._num_failures, self._retry_at = 0, 0.0
        self._cancelling: set[asyncio.Task[None]] = set()       # the event loop itself holds them weakly

    async def tools(self) -> tuple[types.Tool, ...]:
        """What the server offers. Raises ServerFailed."""
        session = await self._connected()
        if self.listed is None:
            self.listed = await self._guarded(_list_tools(session), START_S)
        return self.listed

    async def call(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Call a tool. Raises ServerFailed, and McpError as the server answers it.

        The request is sent without the client's `call_tool`, which checks the result by a schema of the server: a schema may name addresses
        to fetch, and patterns that take forever.
        """
        session = await self._connected()
        request = types.ClientRequest(types.CallToolRequest(params=types.CallToolRequestParams(name=name, arguments=arguments)))
        sent = _Sent()
        try:
            result: types.CallToolResult = await self._guarded(sent.request(session, request), None)
            return result
        except asyncio.CancelledError:
            self._cancelling.add(task := asyncio.ensure_future(sent.cancel(session)))
            task.add_done_callback(self._cancelling.discard)
            raise

    async def check(self) -> None:
        """End a connection whose server does not answer any more, so that the next call starts it again."""
        if self._ready is None or not self._ready.done() or self._ready.exception() is not None:
            return
        try:
            await asyncio.wait_for(self._ready.result().send_ping(), PING_S)
        except McpError:
            pass            # an answer
        except Exception:
            self.end("it does not answer")

    async def close(self) -> None:
        """End the server, if it was started."""
        self.end("closed")
        await self._ended()
        if self._task is not None:
            self._task.cancel()

    def end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._ending.set()

    async def _connected(self) -> ClientSession:
        if self._ending.is_set():
            await self._ended()
        if self._task is None or self._task.done():
            if time.monotonic() < self._retry_at:
                raise ServerFailed(self.problem)
            self._ready = asyncio.get_running_loop().create_future()
            self._ready.add_done_callback(lambda done: done.exception())      # a failure nobody waits for is no error of the program
            self._task = asyncio.create_task(self._serve(self._ready))
        assert self._ready is not None
        return await asyncio.shield(self._ready)

    async def _ended(self) -> None:
        """Wait until a connection that ends has ended."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=ENDING_S)

    async def _serve(self, ready: asyncio.Future[ClientSession]) -> None:
        """Hold the connection until it ends; the reason of a failure is kept."""
        self._ending, self._reason, self.listed = asyncio.Event(), "", None
        self._stderr.clear()
        try:
            async with self._streams() as (incoming, outgoing), ClientSession(incoming, outgoing, message_handler=self._message) as session:
                with anyio.fail_after(START_S):
                    starting = asyncio.ensure_future(self._begin(session))
                    ending = asyncio.ensure_future(self._ending.wait())
                    try:
                        await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        starting.cancel()
                        ending.cancel()
                    if not starting.done() or starting.cancelled():
                        raise ServerFailed(self._reason)
                    starting.result()
                self._num_failures, self.problem = 0, ""
                ready.set_result(session)
                await self._ending.wait()
        except Exception as error:
            self._reason = self._reason or _why(error)
        self._fail(ready)

    async def _begin(self, session: ClientSession) -> None:
        await session.initialize()
        self.listed = await _list_tools(session)

    def _streams(self) -> AbstractAsyncContextManager[tuple[Any, Any]]:
        if self.config.command:
            return program_streams(self.config, self.end, self._stderr)
        return http_streams(self.config, self.end, is_public=self._is_public)

    def _fail(self, ready: asyncio.Future[ClientSession]) -> None:
        said = " ".join("".join(self._stderr).split())[-SHOWN_STDERR_CHARS:]
        why = self.config.masked(f"{self._reason}{f' ({said})' if said else ''}")
        self.problem = UNUSABLE if self._is_public else why
        self._retry_at = time.monotonic() + RETRY_S[min(self._num_failures, len(RETRY_S) - 1)]
        self._num_failures += 1
        if not ready.done():
            ready.set_exception(ServerFailed(self.problem))
        if self._reason != "closed":
            log.warning("The MCP server %s cannot be used: %s", self.config.name, why)

    async def _message(self, message: Any) -> None:
        if isinstance(message, types.ServerNotification) and isinstance(message.root, types.ToolListChangedNotification):
            self.listed = None
        elif isinstance(message, Exception) and not isinstance(message, RuntimeError):      # that is an answer to a call that was given up
            self.end(f"it sent something that is no message ({type(message).__name__})")

    async def _guarded(self, work: Any, timeout_s: float | None) -> Any:
        """Wait for an answer, or for the end of the connection, after which none comes. Raises ServerFailed."""
        request = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self._ending.wait())
        holder = {self._task} if self._task else set()
        try:
            await asyncio.wait({request, ending, *holder}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if request.done():
                return request.result()
            if not (self._ending.is_set() or (self._task and self._task.done())):
                self.end("it does not answer")      # the next call starts it again
            await self._ended()
            raise ServerFailed(self.problem)
        except McpError as error:
            if error.error.message in CLOSED:       # their codes are used by servers for errors of their own
                self.end("it ended the connection")
            raise
        finally:
            request.cancel()
            ending.cancel()


class _Sent:
    """A request, with its id, so that the server can be told that nobody waits for its answer any more."""

    def __init__(self) -> None:
        self._id: int | None = None

    async def request(self, session: ClientSession, request: types.ClientRequest) -> types.CallToolResult:
        self._id = session._request_id      # the one that send_request takes, before it first waits; the client names it nowhere else
        return await session.send_request(request, types.CallToolResult)

    async def cancel(self, session: ClientSession) -> None:
        if self._id is None:
            return
        params = types.CancelledNotificationParams(requestId=self._id, reason="nobody waits for the result any more")
        with suppress(Exception):           # the connection has ended, or takes nothing: then there is nobody to tell
            async with asyncio.timeout(PING_S):
                await session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))


async def _list_tools(session: ClientSession) -> tuple[types.Tool, ...]:
    tools, cursor = list[types.Tool](), None
    for _ in range(MAX_PAGES):
        page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
        tools += page.tools
        cursor = page.nextCursor
        if not cursor:
            break
    return tuple(tools)


def _why(error: BaseException) -> str:
    """The cause of a failure, in words for a person."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ServerFailed():
            return str(error)
        case FileNotFoundError() | PermissionError():
            return f"its program cannot be started ({error.strerror})"
        case TimeoutError():
            return f"it did not answer within {START_S:.0f} s"
        case httpx.HTTPStatusError():
            return f"its address answers {error.response.status_code}"
        case PrivateAddress():
            return "its name means an address of a private network: write allowPrivate beside its url if that is meant"
        case httpx.HTTPError():
            return f"its address cannot be reached ({type(error).__name__})"
        case McpError():
            return f"it refused the connection: {error.error.message[:200]}"
    return f"it does not speak the protocol ({type(error).__name__})"
