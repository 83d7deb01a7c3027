"""Real servers, started here with a tiny model: `transformers serve`, and llama-cpp-python's where that is installed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine import Finished, GenerationOptions, Message, TextDelta
from engine.remote import Connection, RemoteServer, RemoteUnreachable
from tests import gguf_models

START_S = 120
HELLO = [Message("user", "hello there")]


@contextmanager
def running(command: list[str], port: int, model: str, folder: Path) -> Iterator[RemoteServer]:
    (folder / "cache").mkdir(parents=True)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "cache")}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        with closing(RemoteServer(Connection("real", f"http://127.0.0.1:{port}", model))) as server:
            _wait(process, server, folder / "log")
            yield server
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], server: RemoteServer, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.models()
            return
        except RemoteUnreachable:
            time.sleep(0.3)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(server: RemoteServer, **options: object) -> tuple[str, Finished]:
    events = list(server.chat(HELLO, GenerationOptions(**{"temperature": 0.0, "max_new_tokens": 8, **options})))      # type: ignore[arg-type]
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), events[-1]


def check(server: RemoteServer) -> None:
    """What a person does: find the model, ask twice, change options, stop."""
    assert server.find().name == server.connection.model
    text, finished = answer(server)
    assert answer(server)[0] == text
    assert finished.reason == "length"
    assert finished.usage.new_tokens == 8
    assert finished.usage.prompt_tokens or "did not report" in finished.notes[0]     # llama-cpp-python counts no tokens of streams
    answer(server, top_k=20, min_p=0.1, repetition_penalty=1.1, seed=1, stop=["xyz"], temperature=0.8)
    events = server.chat(HELLO, GenerationOptions(max_new_tokens=400))
    assert any(isinstance(event, TextDelta) for event in events)
    events.close()
    assert server.running == 0
    assert answer(server)[0] == text


def test_transformers_serve(llama_folder: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(llama_folder), "--port", str(port), "--host", "127.0.0.1",
               "--device", "cpu"]
    with running(command, port, str(llama_folder), tmp_path / "serve") as server:
        check(server)


@pytest.mark.skipif(find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed (it is compiled for minutes)")
def test_llama_cpp(llama_folder: Path, tmp_path: Path) -> None:
    port, file = free_port(), gguf_models.llama(llama_folder, tmp_path / "tiny.gguf")
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(file), "--port", str(port), "--model_alias", "tiny",
               "--n_ctx", "1024"]
    with running(command, port, "tiny", tmp_path / "llama") as server:
        check(server)
