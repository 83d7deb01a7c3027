"""MCP servers with an address: a real server of the `mcp` package, and which addresses a public page requests."""

import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest

from engine.background import StopSignal
from engine.settings import Secret
from engine.tools import CallContext, ToolOutcome, run_tool
from engine.tools.mcp_config import ServerConfig
from engine.tools.mcp_servers import McpServers
from engine.tools.mcp_transports import PrivateAddress, is_public_address, public_address
from tests import own_thread


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    import uvicorn
    from mcp.server.fastmcp import Context, FastMCP

    made = FastMCP("test", stateless_http=True)

    @made.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @made.tool()
    def key(context: Context) -> str:  # type: ignore[type-arg]
        """Say which key was sent."""
        request = context.request_context.request
        return str(request.headers.get("authorization")) if request else ""

    @made.tool()
    def long() -> str:
        """A long text."""
        return "x" * 5_000_000

    server = uvicorn.Server(uvicorn.Config(made.streamable_http_app(), log_level="error"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        server.should_exit = True
        thread.join(10)


def servers_at(url: str, *, is_public: bool = False, **more: object) -> McpServers:
    headers = (("Authorization", Secret("Bearer k3y-value")),)
    return McpServers([ServerConfig("web", url=Secret(url), headers=headers, **more)], is_public=is_public)  # type: ignore[arg-type]


def test_a_server_with_an_address_is_used_and_its_key_is_sent_and_masked(address: str, caplog: pytest.LogCaptureFixture) -> None:
    servers = servers_at(address, is_public=True)       # the operator wrote down an address of this machine
    found, problems = servers.open(["mcp:web"], StopSignal())
    tools = {tool.name: tool for tool in found}
    assert problems == ()
    assert run_tool(tools["web__add"], {"a": 2, "b": 3}, CallContext()) == ToolOutcome("5")
    assert run_tool(tools["web__add"], {"a": "two", "b": 3}, CallContext()).is_error
    assert run_tool(tools["web__key"], {}, CallContext()) == ToolOutcome("***")
    assert run_tool(tools["web__long"], {}, CallContext()).is_error
    assert "bytes" in caplog.text       # more than the limit of one answer
    servers.close()


@pytest.mark.parametrize(("path", "why"), [("/nothing", "Session terminated"), (":1/mcp", "cannot be reached")])
def test_an_address_without_a_server_is_left_out_with_the_reason(address: str, path: str, why: str) -> None:
    servers = servers_at(address.replace("/mcp", path) if path.startswith("/") else f"http://127.0.0.1{path}")
    found, [problem] = servers.open(["mcp:web"], StopSignal())
    servers.close()
    assert found == ()
    assert why in problem


@pytest.mark.parametrize(("address", "expected"), [
    ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.1.1", False),
    ("169.254.169.254", False),
    ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::1", False), ("fe80::1", False), ("fd00::1", False),
    ("::ffff:127.0.0.1", False), ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False),
])
def test_which_addresses_are_public(address: str, expected: bool) -> None:
    assert is_public_address(ipaddress.ip_address(address)) is expected


def test_a_name_that_means_an_address_of_this_machine_is_refused_and_one_that_is_written_down_is_not(
        monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(host: str, *given: object, **more: object) -> list[object]:
        ip = {"rebind.example": "127.0.0.1", "mixed.example": "10.0.0.1", "good.example": "8.8.8.8"}[host]
        return [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", (ip, 80))]

    monkeypatch.setattr(socket, "getaddrinfo", asked)       # the network's answer
    for host in ("rebind.example", "mixed.example"):
        with pytest.raises(PrivateAddress):
            own_thread.run(public_address(host, 80))
    assert own_thread.run(public_address("good.example", 80)) == "8.8.8.8"
    assert own_thread.run(public_address("10.0.0.7", 80)) == "10.0.0.7"
    assert own_thread.run(public_address("localhost", 80)) == "127.0.0.1"


def test_a_public_page_does_not_reach_a_private_address_behind_a_name(
        address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *given, **more: real("127.0.0.1", *given, **more))
    named = address.replace("127.0.0.1", "rebind.example")
    for is_public, allows, expected in ((True, False, "allowPrivate"), (True, True, ""), (False, False, "")):
        servers = servers_at(named, is_public=is_public, allows_private=allows)
        _, problems = servers.open(["mcp:web"], StopSignal())
        servers.close()
        assert expected in caplog.text
        assert ("private network" in caplog.text) is bool(expected)
        assert bool(problems) or not is_public or allows
        caplog.clear()
