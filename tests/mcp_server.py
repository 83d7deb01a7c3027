"""An MCP server over standard streams, without any library: tools that work, and tools that misbehave as a test asks.

    python tests/mcp_server.py FOLDER       FOLDER/calls.txt gets a line for each call, and for each that is cancelled
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
TOOLS = [
    {"name": "echo", "description": "Say the text again.", "inputSchema": TEXT},
    {"name": "secret", "description": "Print the variables.", "inputSchema": NOTHING},
    {"name": "hang", "description": "Never answer.", "inputSchema": NOTHING},
    {"name": "freeze", "description": "Answer nothing from now on.", "inputSchema": NOTHING},
    {"name": "relist", "description": "Say that the tools have changed, and list them no more.", "inputSchema": NOTHING},
    {"name": "die", "description": "End the server.", "inputSchema": NOTHING},
    {"name": "flood", "description": "Send a line without an end.", "inputSchema": NOTHING},
    {"name": "chatter", "description": "Send messages without an end.", "inputSchema": NOTHING},
    {"name": "long", "description": "A long text.", "inputSchema": NOTHING},
    {"name": "fail", "description": "Say that it failed.", "inputSchema": NOTHING},
    {"name": "refuse", "description": "Answer with an error of the protocol.", "inputSchema": NOTHING},
    {"name": "mime", "description": "A picture.", "inputSchema": NOTHING},
    {"name": "liar", "description": "Its result does not have its output schema.", "inputSchema": NOTHING,
     "outputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    {"name": "no_schema", "description": "Its schema is that of a list.", "inputSchema": {"type": "array"}},
    {"name": "bad name!", "description": "Its name has signs that no model may write.", "inputSchema": NOTHING},
    {"name": "huge", "description": "Its schema is huge.", "inputSchema": {"type": "object", "description": "x" * 100_000}},
    {"name": "n" * 100, "description": "Its name is long.", "inputSchema": NOTHING},
]


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(value: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}], "isError": is_error}


def called(name: str, arguments: dict[str, Any], number: int) -> dict[str, Any] | None:
    """The result of a call; None for no answer."""
    if name == "freeze":
        time.sleep(3600)
    if name == "die":
        sys.stderr.write(f"the key is s3cret-value {sys.argv[1]}\n")
        os._exit(3)
    if name == "flood":
        while True:
            sys.stdout.write("x" * 65536)
    if name == "chatter":
        while True:
            send({"method": "notifications/message", "params": {"level": "info", "data": "again"}})
    if name == "relist":
        send({"method": "notifications/tools/list_changed"})
        return text("changed")
    if name == "refuse":
        send({"id": number, "error": {"code": -32000, "message": "not today"}})
    results = {"echo": lambda: text(arguments["text"]), "secret": lambda: text(json.dumps(dict(os.environ))),
               "long": lambda: text("word " * 50_000),
               "fail": lambda: text("it failed", is_error=True),
               "mime": lambda: {"content": [{"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}]},
               "liar": lambda: {"content": [], "structuredContent": {"n": "many"}}}
    return results[name]() if name in results else None


def main() -> None:
    calls = Path(sys.argv[1]) / "calls.txt"
    (Path(sys.argv[1]) / "started.txt").open("a").write(f"{os.getpid()}\n")
    print("This line is no message.", flush=True)
    can_list = True
    for line in sys.stdin:
        message = json.loads(line)
        match message.get("method"):
            case "initialize":
                send({"id": message["id"], "result": {"protocolVersion": message["params"]["protocolVersion"],
                                                     "capabilities": {"tools": {}}, "serverInfo": {"name": "test", "version": "1"}}})
            case "tools/list" if can_list:
                send({"id": message["id"], "result": {"tools": TOOLS}})
            case "notifications/cancelled":
                with calls.open("a") as file:
                    file.write(json.dumps(["cancelled", message["params"]["requestId"]]) + "\n")
            case "ping":
                send({"id": message["id"], "result": {}})
            case "tools/call":
                name, arguments = message["params"]["name"], message["params"].get("arguments") or {}
                with calls.open("a") as file:
                    file.write(json.dumps([name, arguments]) + "\n")
                can_list = can_list and name != "relist"
                result = called(name, arguments, message["id"])
                if result is not None:
                    send({"id": message["id"], "result": result})


if __name__ == "__main__":
    main()
