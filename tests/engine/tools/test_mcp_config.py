"""The file of MCP servers: its usual shape is read, secrets are masked, and a mistake is named without the value."""

import json
from pathlib import Path

import pytest

from engine.errors import InvalidRequest
from engine.settings import Settings
from engine.tools.mcp_config import read_servers


def written(folder: Path, servers: object) -> Path:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}), "utf-8")
    return path


def test_the_usual_shape_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, {
        "files": {"command": "npx", "args": ["-y", "server", "${HOME_FOLDER}"], "env": {"TOKEN": "${TOKEN}"}, "alwaysAllow": ["read"],
                  "timeout": 5},
        "web": {"type": "streamable-http", "url": "https://example.com/mcp", "headers": {"Authorization": "Bearer ${env:TOKEN}"}},
        "off": {"command": "x", "disabled": True}})
    files, web = read_servers(path, {"TOKEN": "hunter22", "HOME_FOLDER": "/data"})
    assert [each.reveal() for each in files.args] == ["-y", "server", "/data"]
    assert (files.timeout_s, files.trusted) == (5.0, {"read"})
    assert web.headers[0][1].reveal() == "Bearer hunter22"
    assert "hunter22" not in repr((files, web))
    assert web.masked("the header was Bearer hunter22, the key hunter22") == "the header was ***, the key ***"


def test_secrets_of_arguments_variables_and_addresses_are_masked(tmp_path: Path) -> None:
    path = written(tmp_path, {
        "files": {"command": "npx", "args": ["-y", "--key=abcdefgh", "--token", "ijklmnop", str(tmp_path), "--port=80", "${SHORT}"]},
        "web": {"url": "https://ann:pass%20word@example.com/mcp?key=qrst&n=1&other=${SHORT}"}})
    files, web = read_servers(path, {"SHORT": "s3cr"})
    said = f"-y --key=abcdefgh --token ijklmnop {tmp_path}/a.txt --port=80 s3cr"
    assert files.masked(said) == "-y --key=*** --token *** ***/a.txt --port=80 ***"
    assert files.masked(said, with_paths=False) == f"-y --key=*** --token *** {tmp_path}/a.txt --port=80 ***"
    assert web.masked("GET https://example.com/mcp?key=qrst&n=1&other=s3cr, qrst, s3cr, pass word") == (
        "GET https://example.com/mcp?***, ***, ***, ***")


@pytest.mark.parametrize(("servers", "member"), [
    ([], "mcpServers"), ({"a b": {"command": "x"}}, "name"), ({"a": {}}, "mcpServers.a"),
    ({"a": {"command": "x", "url": "http://b"}}, "mcpServers.a"),
    ({"a": {"url": "file:///etc/passwd"}}, "url"), ({"a": {"url": "https://b", "type": "sse"}}, "type"),
    ({"a": {"command": "x", "args": "s3cret"}}, "args"), ({"a": {"command": "x", "env": {"K": 5}}}, "env"),
    ({"a": {"command": "x", "env": {"K": "${MISSING}"}}}, "MISSING"), ({"a": {"command": "x", "timeout": -1}}, "timeout"),
    ({"a": {"command": ["s3cret"]}}, "command"), ({str(n): {"command": "x"} for n in range(21)}, "mcpServers"),
])
def test_a_mistake_is_named_without_its_value(servers: object, member: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=member) as caught:
        read_servers(written(tmp_path, servers), {})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"mcpServers": 5}'])
def test_a_file_that_is_no_list_of_servers_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match="mcpServers"):
        read_servers(path)


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="MINDCUBES_MCP_SERVERS"):
        read_servers(tmp_path / "none.json")


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    settings = Settings.from_env({"MINDCUBES_MCP_SERVERS": str(tmp_path / "mcp.json")}, tmp_path / "none")
    assert settings.mcp_servers == tmp_path / "mcp.json"
    assert Settings.from_env({}, tmp_path / "none").mcp_servers is None
