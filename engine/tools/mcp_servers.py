"""The MCP servers of the operator's file, and their tools as tools of the chat.

All connections live on one event loop in a thread of its own, which the first use starts. Programs and addresses are those of the file
only: nothing that a visitor or a model writes names another.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from typing import TYPE_CHECKING, Any

from ..background import StopSignal
from ..errors import InvalidRequest
from ..settings import Settings
from ..tool_calls import MAX_DESCRIPTION_CHARS, Tool
from .base import BoundTool, CallContext, ToolGroup, ToolOutcome
from .mcp_config import UNUSABLE, ServerConfig, read_servers

if TYPE_CHECKING:       # imported when the first server is started
    from mcp import types

    from .mcp_connection import McpConnection

log = logging.getLogger(__name__)
PREFIX = "mcp:"                 # of the entries in the list of tools
MAX_TOOLS = 64                  # of one server; the others are left out
MAX_SCHEMA_CHARS = 20_000
MAX_DESCRIPTION = 2_000
MAX_NAME_CHARS = 64
OPEN_S = 45.0                   # for all servers of a reply to start
CLOSE_S = 5.0


class McpServers:
    """Safe to use from many threads."""

    def __init__(self, configs: Sequence[ServerConfig], *, is_public: bool = False) -> None:
        self._configs = {f"{PREFIX}{each.name}": each for each in configs}
        self._is_public = is_public
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: dict[str, McpConnection] = {}

    @classmethod
    def of(cls, settings: Settings) -> McpServers:
        """Raises InvalidRequest."""
        configs = read_servers(settings.mcp_servers) if settings.mcp_servers else ()
        return cls(configs, is_public=settings.is_public)

    @property
    def groups(self) -> tuple[ToolGroup, ...]:
        return tuple(ToolGroup(name, config.name, problem=self._connections[name].problem if name in self._connections else "")
                     for name, config in self._configs.items())

    def known(self, groups: Sequence[str]) -> tuple[BoundTool, ...]:
        """The tools that servers have listed so far. Does not block."""
        return tuple(tool for name in groups if name in self._connections
                     for tool in self._bound(name, self._connections[name].listed or ()))

    def open(self, groups: Sequence[str], stop: StopSignal) -> tuple[tuple[BoundTool, ...], tuple[str, ...]]:
        """The tools of these servers, which are started if they are not running, and a sentence for each that cannot be used.

        Blocks for at most OPEN_S; less if `stop` is set.
        """
        asked = {name: self._submit(self._connection(name).tools()) for name in groups if name in self._configs}

        def give_up() -> None:
            for future in asked.values():
                future.cancel()

        stop.subscribe(give_up)
        wait(asked.values(), OPEN_S)
        stop.unsubscribe(give_up)
        give_up()
        tools, problems = list[BoundTool](), list[str]()
        for name, future in asked.items():
            try:
                tools += self._bound(name, future.result(0))
            except (Exception, CancelledError) as error:
                why = self._configs[name].masked(str(error)) or "it did not answer in time"
                if self._is_public and why != UNUSABLE and not isinstance(error, CancelledError):       # the words of the server
                    log.warning("The tools of %s are left out: %s", self._configs[name].name, why)
                    why = UNUSABLE
                problems.append(f"The tools of {self._configs[name].name} are left out: {why}.")
        return tuple(tools), tuple(problems)

    def close(self) -> None:
        """End all servers that were started."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        closing = [asyncio.run_coroutine_threadsafe(each.close(), loop) for each in self._connections.values()]
        wait(closing, CLOSE_S)
        loop.call_soon_threadsafe(loop.stop)

    # --- one server ---

    def _connection(self, name: str) -> McpConnection:
        from .mcp_connection import McpConnection

        with self._lock:
            if name not in self._connections:
                self._connections[name] = McpConnection(self._configs[name], is_public=self._is_public)
            return self._connections[name]

    def _submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="mcp", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _bound(self, group: str, listed: Sequence[types.Tool]) -> Iterator[BoundTool]:
        """The tools of a server that can be used; of two with one name, the first."""
        config, taken = self._configs[group], set[str]()
        for each in listed[:MAX_TOOLS]:
            try:
                definition = _definition(config.name, each)
            except InvalidRequest:      # such as a schema that is none
                continue
            if definition.name in taken:
                continue
            taken.add(definition.name)
            must_ask = self._is_public or each.name not in config.trusted
            yield BoundTool(definition, group, self._runner(group, each.name), must_ask=must_ask, timeout_s=config.timeout_s)

    def _runner(self, group: str, name: str) -> Any:
        def run(arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
            return self._call(group, name, dict(arguments), context.stop)
        return run

    def _call(self, group: str, name: str, arguments: dict[str, Any], stop: StopSignal) -> ToolOutcome:
        config, connection = self._configs[group], self._connection(group)
        future = self._submit(connection.call(name, arguments))

        def give_up() -> None:
            future.cancel()

        stop.subscribe(give_up)
        try:
            outcome = _outcome(future.result())
        except CancelledError:
            self._submit(connection.check())        # it may hang: then it is started again for the next call
            return ToolOutcome("The call was stopped.", is_error=True)
        except Exception as error:      # the server ended, refused the call, or answered nonsense
            outcome = ToolOutcome(f"The server {config.name} could not do it: {str(error)[:1000] or type(error).__name__}", is_error=True)
        finally:
            stop.unsubscribe(give_up)
        return ToolOutcome(config.masked(outcome.text, with_paths=False), outcome.is_error)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _definition(server: str, tool: types.Tool) -> Tool:
    """Raises InvalidRequest."""
    schema = tool.inputSchema
    if len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
        raise InvalidRequest(f"the schema of {tool.name[:60]}", "longer", f"at most {MAX_SCHEMA_CHARS:,} characters")
    text = (tool.description or tool.title or tool.name)[:min(MAX_DESCRIPTION, MAX_DESCRIPTION_CHARS)]
    return Tool.of_schema(tool_name(server, tool.name), f"({server}) {text}", schema)


def tool_name(server: str, name: str) -> str:
    """The name by which the model calls a tool of a server: with the server's name before it, in letters, digits, - and _ only."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}__{name}")
    if len(plain) <= MAX_NAME_CHARS:
        return plain
    return f"{plain[:MAX_NAME_CHARS - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _outcome(result: types.CallToolResult) -> ToolOutcome:
    """The result as text. Pictures and sounds are named only: the model does not get them."""
    parts = [_part(block) for block in result.content]
    if not parts and result.structuredContent is not None:
        parts = [json.dumps(result.structuredContent, ensure_ascii=False)]
    return ToolOutcome("\n".join(parts) or "The tool returned nothing.", is_error=bool(result.isError))


def _part(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}, {block.mimeType}, {len(base64.b64decode(block.data + '==', validate=False)):,} bytes: not shown]"
        case "resource" if hasattr(block.resource, "text"):
            return str(block.resource.text)
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
    return f"[{block.type}: not shown]"


