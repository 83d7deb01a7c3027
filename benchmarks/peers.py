"""The other programs that speed.py measures beside ours: `transformers serve`, and llama.cpp through llama-cpp-python.

Each is used if it is installed (requirements-bench.txt); else `Absent` says why it is left out. llama.cpp reads GGUF files only, which
its convert_hf_to_gguf.py writes from a folder: those in the model's folder are used, in the 4-bit table if "q4" is in their name.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

Chat = list[dict[str, str]]
# Streams one reply as pieces of text. The second argument is its length in tokens.
Stream = Callable[[Chat, int], Iterator[str]]
START_S = 120.0
WINDOW = 2048


class Absent(Exception):
    """This peer cannot be measured here; the message says why."""


@contextmanager
def transformers_serve(model: str, *flags: str) -> Iterator[Stream]:
    """Run `transformers serve` with this model until the block ends. Raises Absent."""
    if any(find_spec(name) is None for name in ("openai", "fastapi", "uvicorn")):
        raise Absent("transformers[serving] is not installed")
    folder = str(Path(model).resolve())
    command = [str(Path(sys.executable).parent / "transformers"), "serve", folder, "--port", "{port}", *flags]
    with _server(command, "/health") as address:
        def body(chat: Chat, tokens: int) -> dict[str, Any]:
            return {"model": folder, "messages": chat, "stream": True, "max_tokens": tokens, "temperature": 0.0,
                    "generation_config": json.dumps({"do_sample": False, "max_new_tokens": tokens})}

        with httpx.Client(timeout=600) as client:
            yield lambda chat, tokens: _streamed(client, address, body(chat, tokens))


@contextmanager
def llama_server(gguf: Path) -> Iterator[Stream]:
    """Run llama-cpp-python's server until the block ends. It generates one reply at a time. Raises Absent."""
    _require_llama()
    if find_spec("sse_starlette") is None:
        raise Absent("llama-cpp-python[server] is not installed")
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(gguf), "--host", "127.0.0.1", "--port", "{port}",
               "--n_ctx", str(WINDOW), "--n_threads", str(_cores()), "--interrupt_requests", "False"]
    with _server(command, "/v1/models") as address, httpx.Client(timeout=600) as client:
        yield lambda chat, tokens: _streamed(
            client, address, {"model": gguf.name, "messages": chat, "stream": True, "max_tokens": tokens, "temperature": 0.0})


def llama_bench(gguf: Path, prompt: int, new: int, repeats: int) -> tuple[float, float]:
    """Tokens per second of a prompt and of generation, in this process, as llama-bench measures them. Raises Absent."""
    _require_llama()
    from llama_cpp import Llama  # type: ignore[import-not-found, unused-ignore]

    llama = Llama(str(gguf), n_ctx=WINDOW, n_threads=_cores(), n_threads_batch=_cores(), verbose=False)
    reading, writing = [], []
    for number in range(repeats + 1):
        llama.reset()
        started = time.perf_counter()
        llama.eval([3 + (i * 7 + number) % 1000 for i in range(prompt)])
        read = time.perf_counter()
        for i in range(new):
            llama.eval([3 + i])
        if number:      # the first one warms up
            reading.append(prompt / (read - started))
            writing.append(new / (time.perf_counter() - read))
    return max(reading), max(writing)


def gguf_of(model: str, is_4bit: bool) -> Path:
    """Raises Absent."""
    _require_llama()
    found = [path for path in sorted(Path(model).glob("*.gguf")) if ("q4" in path.name.lower()) is is_4bit]
    if not found:
        raise Absent(f"there is no {'4-bit' if is_4bit else '16-bit'} GGUF file in {model}")
    return found[0]


def _require_llama() -> None:
    if find_spec("llama_cpp") is None:
        raise Absent("llama-cpp-python is not installed")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _server(command: list[str], health: str) -> Iterator[str]:
    """Run a server on a free port, which takes the place of {port}, and yield its address. Raises Absent."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([port if part == "{port}" else part for part in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        _wait_for(process, address + health, " ".join(command))
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for(process: subprocess.Popen[bytes], url: str, name: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Absent(f"it ended at its start: {name}")
        try:
            httpx.get(url, timeout=1).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise Absent(f"it did not answer in {START_S:.0f} s: {name}")


def _streamed(client: httpx.Client, address: str, body: dict[str, Any]) -> Iterator[str]:
    with client.stream("POST", f"{address}/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise RuntimeError(response.read().decode()[:500])
        for line in response.iter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                choices = json.loads(line[6:]).get("choices") or [{}]
                text = (choices[0].get("delta") or {}).get("content")
                if text and body["messages"][-1]["content"] not in text:     # with some templates, the prompt comes first
                    yield text
