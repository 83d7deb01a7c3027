"""Connections to MCP servers: a program's standard streams, or HTTP. Both end when a server sends more than the limits.

Own code reads the streams of a program, since the client of `mcp` keeps a line of any length in memory.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx
from mcp import types
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from .mcp_config import ServerConfig

MAX_MESSAGE_BYTES = 4 << 20         # of one line of a program, and of one answer over HTTP
MAX_MESSAGES = 2_000                # of a program, in MESSAGES_S
MESSAGES_S = 10.0
KEPT_STDERR_CHARS = 4_000           # the last of what a program writes to stderr
END_S = 2.0                         # for a program to end after its input is closed, and again after it is asked to
CONNECT_S = 15.0

End = Callable[[str], None]         # ends the connection, with the reason


@asynccontextmanager
async def program_streams(config: ServerConfig, end: End, stderr: list[str]) -> AsyncIterator[tuple[Any, Any]]:
    """Start a program and give its messages. It gets the variables of `env` and a few harmless ones, and none of the app's secrets.

    `end` is called when it ends, or floods. The program and its children are ended with the block. Raises OSError.
    """
    process = await asyncio.create_subprocess_exec(
        shutil.which(config.command) or config.command, *(each.reveal() for each in config.args), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=config.cwd, limit=MAX_MESSAGE_BYTES, start_new_session=True,
        env={**get_default_environment(), **{name: value.reveal() for name, value in config.env}})
    arriving, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    works = _read(process, arriving, end), _write(process, leaving, arriving), _keep(process, stderr)
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield incoming, outgoing
    finally:
        await _end_process(process)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _drain(process)
        for stream in (arriving, incoming, outgoing, leaving):
            await stream.aclose()


async def _read(process: asyncio.subprocess.Process, arriving: Any, end: End) -> None:
    """Lines that are not JSON are skipped: some programs print to their standard output."""
    assert process.stdout is not None
    reason, count, since = "it has ended", 0, time.monotonic()
    try:
        while line := await process.stdout.readline():
            if time.monotonic() - since > MESSAGES_S:
                count, since = 0, time.monotonic()
            count += 1
            if count > MAX_MESSAGES:
                reason = f"it sent more than {MAX_MESSAGES:,} messages in {MESSAGES_S:.0f} s"
                break
            with suppress(ValueError):
                await arriving.send(SessionMessage(types.JSONRPCMessage.model_validate_json(line)))
    except ValueError:
        reason = f"it sent a message of more than {MAX_MESSAGE_BYTES:,} bytes"
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    end(reason)


async def _write(process: asyncio.subprocess.Process, leaving: Any, arriving: Any) -> None:
    """A request that cannot be written is answered with an error; those of others go on."""
    assert process.stdin is not None
    with suppress(ConnectionError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for message in leaving:
            try:
                line = message.message.model_dump_json(by_alias=True, exclude_none=True).encode()
            except ValueError as error:
                await arriving.send(_not_written(message.message.root, error))
                continue
            process.stdin.write(line + b"\n")
            await process.stdin.drain()


def _not_written(sent: Any, error: ValueError) -> Any:
    """The answer to a message that cannot be written as JSON; an error of the connection for one that has no answer."""
    if not isinstance(sent, types.JSONRPCRequest):
        return error
    data = types.ErrorData(code=types.INVALID_PARAMS, message="the arguments cannot be written as JSON")
    return SessionMessage(types.JSONRPCMessage(types.JSONRPCError(jsonrpc="2.0", id=sent.id, error=data)))


async def _keep(process: asyncio.subprocess.Process, stderr: list[str]) -> None:
    assert process.stderr is not None
    while piece := await process.stderr.read(4096):
        stderr[:] = ["".join([*stderr, piece.decode("utf-8", "replace")])[-KEPT_STDERR_CHARS:]]


async def _end_process(process: asyncio.subprocess.Process) -> None:
    """Close the program's input, then ask it and its children to end, then kill them."""
    if process.stdin is not None:
        process.stdin.close()
    for number in (None, signal.SIGTERM, getattr(signal, "SIGKILL", None)):
        with suppress(ProcessLookupError, PermissionError):
            if number is not None and hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            elif number is not None or not hasattr(signal, "SIGKILL"):
                process.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_S if number is None else END_S / 2)
            if number is None and hasattr(os, "killpg"):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)      # children that outlive it
            return


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read what the ended program left in its pipes, at most what a pipe holds: they are closed only then."""
    for pipe in filter(None, (process.stdout, process.stderr)):
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S / 2):
                while await pipe.read(1 << 16):
                    pass


@asynccontextmanager
async def http_streams(config: ServerConfig, end: End, *, is_public: bool) -> AsyncIterator[tuple[Any, Any]]:
    """Connect to an address. Redirects are followed on the same host only. Raises httpx.HTTPError and PrivateAddress."""
    transport = _LimitedTransport(config, end, is_public=is_public)
    headers = {**{name: value.reveal() for name, value in config.headers}, "accept-encoding": "identity"}
    timeout = httpx.Timeout(CONNECT_S, read=None)       # the time of a call is limited where it is made
    async with (httpx.AsyncClient(headers=headers, timeout=timeout, transport=transport) as client,
                streamable_http_client(config.url.reveal(), http_client=client) as (incoming, outgoing, _)):
        yield incoming, outgoing


class PrivateAddress(Exception):
    """A name means an address of a private network, which a public page requests only if the operator wrote it down."""


class _LimitedTransport(httpx.AsyncBaseTransport):
    """Ends the connection after MAX_MESSAGE_BYTES of one answer; on a public page, requests no private address that a name hides."""

    def __init__(self, config: ServerConfig, end: End, *, is_public: bool) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._end, self._must_check = end, is_public and not config.allows_private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._must_check:
            host = request.url.host
            address = await public_address(host, request.url.port or (443 if request.url.scheme == "https" else 80))
            # The address that was checked is the one that is requested; the name stays in the Host header and in the certificate's check.
            request = httpx.Request(request.method, request.url.copy_with(host=address), headers=request.headers, stream=request.stream,
                                    extensions={**request.extensions, "sni_hostname": host})
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _LimitedStream(response.stream, self._end)
        response.headers.pop("content-encoding", None)      # none was asked for, and a packed answer could unfold to any size
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _LimitedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, end: End) -> None:
        self._inner, self._end = inner, end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_MESSAGE_BYTES
        async for piece in self._inner:
            left -= len(piece)
            if left < 0:
                self._end(f"it sent an answer of more than {MAX_MESSAGE_BYTES:,} bytes")
                return
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


async def public_address(host: str, port: int) -> str:
    """Return an address of `host`; one that is written as such as it is, since the operator listed it. Raises PrivateAddress."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    if host == "localhost":
        return "127.0.0.1"
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(f"{host} has no address") from error
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    if not addresses or not all(is_public_address(each) for each in addresses):
        raise PrivateAddress(host)
    return str(addresses[0])


def is_public_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the internet, also behind the forms in which IPv6 writes addresses of IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return is_public_address(inner)
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return is_public_address(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast
