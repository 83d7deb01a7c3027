"""The API over the built-in model, served in this process, and clients of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from openai import OpenAI

from api import build_api
from engine import Engine


def eventually(is_true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait until something is true, and fail if it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@contextmanager
def serving(engine: Engine) -> Iterator[str]:
    """The API's address until the block ends."""
    server = uvicorn.Server(uvicorn.Config(build_api(engine), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def address(builtin_engine: Engine) -> Iterator[str]:
    with serving(builtin_engine) as url:
        yield url


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Engine], str]]:
    """Serve other engines until the module's tests are over."""
    open_servers = []

    def start(engine: Engine) -> str:
        open_servers.append(serving(engine))
        return open_servers[-1].__enter__()

    yield start
    for each in open_servers:
        each.__exit__(None, None, None)
