"""The file in which the operator lists MCP servers, in the shape that most programs use:

    {"mcpServers": {"files": {"command": "npx", "args": ["-y", "some-server"], "env": {"TOKEN": "${TOKEN}"}},
                    "search": {"url": "https://example.com/mcp", "headers": {"Authorization": "Bearer ${KEY}"}}}}

${NAME} stands for a variable of the environment. More members: cwd; timeout (seconds of one call); disabled; alwaysAllow (tools that are
called without asking, never on a public page); allowPrivate (on a public page, the name in the url may mean an address of a private
network).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import InvalidRequest
from ..settings import HIDDEN, Secret

MAX_SERVERS = 20
MAX_FILE_BYTES = 1 << 20
CALL_S, MAX_TIMEOUT_S = 60.0, 600.0       # of one call
MIN_MASKED_CHARS = 4        # shorter values, such as a port, are no secrets, and would mask parts of ordinary words
UNUSABLE = "it cannot be used now; the log of the app says why"     # all that visitors of a public page read of a failure
MIN_MASKED_ARG_CHARS = 8    # of `args`, which have names of modes and commands, too
NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
HTTP_TYPES = (None, "http", "streamable-http", "streamableHttp", "streamable_http")

_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server: a program that is started (`command`), or an address (`url`). `trusted`: names of its tools, as the server calls them.

    `variables`: the values of the variables of the environment that any member names.
    """

    name: str
    command: str = ""
    args: tuple[Secret, ...] = ()
    env: tuple[tuple[str, Secret], ...] = ()
    cwd: str | None = None
    url: Secret = field(default_factory=lambda: Secret(""))
    headers: tuple[tuple[str, Secret], ...] = ()
    timeout_s: float = CALL_S
    trusted: frozenset[str] = frozenset()
    allows_private: bool = False
    variables: tuple[Secret, ...] = ()

    def masked(self, text: str, *, with_paths: bool = True) -> str:
        """Return `text` with *** in the place of every secret that the file holds.

        These are the values of `env`, `headers` and variables, whole or after "Bearer ", those of `args`, whole or after "=", and the user
        and the query of the url. Without `with_paths`, paths in `args` and variables stay: a server of files has to name them to the model.
        """
        found = {value.reveal() for _, value in (*self.env, *self.headers)} | _parts_of_url(self.url.reveal())
        given = {value.reveal() for value in self.variables}
        arguments = {part for each in self.args for part in (each.reveal(), each.reveal().partition("=")[2])}
        given |= {each for each in arguments if len(each) >= MIN_MASKED_ARG_CHARS and not each.startswith("-")}
        found |= {each for each in given if with_paths or not (os.path.isabs(each) and os.path.exists(each))}
        for value in sorted({part for each in found for part in (each, each.rpartition(" ")[2])}, key=len, reverse=True):
            if len(value) >= MIN_MASKED_CHARS:
                text = text.replace(value, HIDDEN)
        return text


def _parts_of_url(url: str) -> set[str]:
    parts = urlsplit(url)
    written = {parts.query, parts.username or "", parts.password or "", *(each.partition("=")[2] for each in parts.query.split("&"))}
    return written | {unquote(each) for each in written} | {value for _, value in parse_qsl(parts.query)}


def read_servers(path: Path, environ: Mapping[str, str] | None = None) -> tuple[ServerConfig, ...]:
    """Return the servers of a file that are not disabled. Raises InvalidRequest, which names the member; no value of it is repeated."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidRequest("MINDCUBES_MCP_SERVERS", path.name, f"a file of at most {MAX_FILE_BYTES:,} bytes")
        listed = json.loads(path.read_text("utf-8-sig"))["mcpServers"]
    except OSError as error:
        raise InvalidRequest("MINDCUBES_MCP_SERVERS", str(path), f"a file that can be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidRequest("MINDCUBES_MCP_SERVERS", path.name, 'a JSON file with an object "mcpServers"') from error
    if not isinstance(listed, dict) or len(listed) > MAX_SERVERS:
        raise InvalidRequest("mcpServers", HIDDEN, f"an object of at most {MAX_SERVERS} servers")
    values = os.environ if environ is None else environ
    return tuple(_server(name, given, values) for name, given in listed.items() if not (isinstance(given, dict) and given.get("disabled")))


def _server(name: str, given: object, environ: Mapping[str, str]) -> ServerConfig:
    if not NAME.fullmatch(name):
        raise InvalidRequest("the name of an MCP server", name[:60], "1 to 32 letters, digits, - and _")
    if not isinstance(given, dict):
        raise InvalidRequest(f"mcpServers.{name}", HIDDEN, "an object")
    read = _Members(f"mcpServers.{name}", given, environ)
    command, url = read.text("command"), read.text("url")
    if bool(command) == bool(url):
        raise InvalidRequest(f"mcpServers.{name}", HIDDEN, "one with either a command or a url")
    if given.get("type") not in (HTTP_TYPES if url else (None, "stdio")):
        raise InvalidRequest(f"mcpServers.{name}.type", str(given.get("type"))[:40], "http for a url, or stdio for a command")
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise InvalidRequest(f"mcpServers.{name}.url", HIDDEN, "an address that begins with http:// or https://")
    timeout = given.get("timeout", CALL_S)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= MAX_TIMEOUT_S:
        raise InvalidRequest(f"mcpServers.{name}.timeout", HIDDEN, f"a number of seconds, at most {MAX_TIMEOUT_S:.0f}")
    return ServerConfig(name, command, tuple(Secret(each) for each in read.texts("args")), read.pairs("env"), read.text("cwd") or None,
                        Secret(url), read.pairs("headers"), float(timeout), frozenset(read.texts("alwaysAllow")),
                        given.get("allowPrivate") is True, tuple(map(Secret, sorted(read.used))))


@dataclass(frozen=True, slots=True)
class _Members:
    """Reads the members of an object, with variables replaced. `used`: values of those. Every method raises InvalidRequest."""

    name: str
    given: dict[str, Any]
    environ: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def text(self, member: str) -> str:
        return self._value(member, self.given.get(member, ""))

    def texts(self, member: str) -> list[str]:
        found = self.given.get(member, [])
        if not isinstance(found, list):
            raise InvalidRequest(f"{self.name}.{member}", HIDDEN, "a list of texts")
        return [self._value(member, each) for each in found]

    def pairs(self, member: str) -> tuple[tuple[str, Secret], ...]:
        found = self.given.get(member, {})
        if not isinstance(found, dict):
            raise InvalidRequest(f"{self.name}.{member}", HIDDEN, "an object of texts")
        return tuple((name, Secret(self._value(member, value))) for name, value in found.items())

    def _value(self, member: str, value: object) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise InvalidRequest(f"{self.name}.{member}", HIDDEN, "text")
        for variable in _VARIABLE.findall(value):
            if variable not in self.environ:
                raise InvalidRequest(f"{self.name}.{member}", f"${{{variable}}}", "the name of a variable that is set")
            self.used.add(self.environ[variable])
        return _VARIABLE.sub(lambda found: self.environ[found[1]], value)
