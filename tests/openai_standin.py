"""A server with the parts of OpenAI's API that MindCubes uses, which answers as a test says: in pieces, with errors, not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24, "prompt_tokens_details": {"cached_tokens": 16}}


def chunk(text: str = "", *, finish: str | None = None, usage: dict[str, Any] | None = None, **delta: str) -> dict[str, Any]:
    choices = [] if usage else [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}]
    return {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "tiny", "choices": choices, "usage": usage}


def reply(*pieces: str, finish: str = "stop") -> list[dict[str, Any]]:
    """The chunks of a whole answer."""
    return [*(chunk(piece) for piece in pieces), chunk(finish=finish), chunk(usage=USAGE)]


class OpenAIStandin:
    """`answer`: what the next requests get, from their body: chunks of a stream (True waits for `go_on`), or a status and a body.

    `requests`: the bodies so far; `keys`: the Authorization headers. `left`: set when a client has closed its connection early.
    """

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] = [{"id": "tiny", "object": "model", "created": 0, "owned_by": "me", "max_model_len": 512}]
        self.answer: Callable[[dict[str, Any]], list[Any] | tuple[int, Any]] = lambda body: reply("Hello", " ", "there")
        self.models_answer: tuple[int, Any] | None = None
        self.headers: dict[str, str] = {}
        self.ends_properly = True
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.go_on, self.left = threading.Event(), threading.Event()
        self.address = ""


@contextmanager
def serve() -> Iterator[OpenAIStandin]:
    standin = OpenAIStandin()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            standin.keys.append(self.headers.get("Authorization", ""))
            self._json(*(standin.models_answer or (200, {"object": "list", "data": standin.models})))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            standin.requests.append(body)
            standin.keys.append(self.headers.get("Authorization", ""))
            answer = standin.answer(body)
            if isinstance(answer, tuple):
                self._json(*answer)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                for each in answer:
                    if each is True:
                        standin.go_on.wait(30)
                        each = chunk("late")
                    self._send(json.dumps(each))
                if standin.ends_properly:
                    self._send("[DONE]")
            except OSError:
                standin.left.set()
            self.close_connection = True

        def _send(self, data: str) -> None:
            self.wfile.write(f"data: {data}\n\n".encode())
            self.wfile.flush()

        def _json(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in standin.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    standin.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield standin
    finally:
        standin.go_on.set()
        server.shutdown()
        server.server_close()
