"""Sessions to attack, and a host whose state is compared before and after."""

from __future__ import annotations

import os
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import engine
from engine import Settings
from engine.errors import SandboxUnavailable
from engine.sandbox.base import Limits, Sandbox
from engine.sandbox.guest import landlock
from engine.sandbox.guest.syscalls import this_syscall_table
from engine.sandbox.jail import JailSession
from engine.sandbox.runtime import Runtime, find_runtime
from engine.sandbox.wasm import WasmSession

TOKEN = "hf_this_is_a_secret_of_the_host"


@pytest.fixture(autouse=True)
def _needs_a_jail(request: pytest.FixtureRequest) -> None:
    is_elsewhere = request.module.__name__.endswith(("fetch", "transfer", "wasm", "wasm_attacks", "wasm_snippets"))
    if is_elsewhere or (sys.platform.startswith("linux") and this_syscall_table() is not None and landlock.abi()):
        return
    pytest.skip("this platform has no jail: it needs Linux on x86-64 or aarch64 with Landlock")


@pytest.fixture
def sandbox() -> Iterator[JailSession]:
    with JailSession(Limits()) as opened:
        yield opened


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """What the wasm tier runs on, if `make test` could download it."""
    try:
        return find_runtime(Settings.from_env().data_dir)
    except SandboxUnavailable as unavailable:
        pytest.skip(f"no wasm tier here: {unavailable.reason}")


@pytest.fixture(scope="module")
def wasm_session(runtime: Runtime) -> Iterator[WasmSession]:
    """One for all tests of a module: opening it takes half a second."""
    with WasmSession(Limits(), runtime) as opened:
        yield opened


@dataclass(slots=True)
class Host:
    """The targets of attacks. `heard` collects everything that reaches one of its sockets."""

    outside: Path
    other: Sandbox
    tcp_port: int
    udp_port: int
    unix_path: str
    heard: list[str] = field(default_factory=list)

    @property
    def secret(self) -> Path:
        return self.outside / "secret.txt"

    @property
    def constants(self) -> str:
        """The first line of every attack, which defines its targets."""
        facts = {"SECRET": str(self.secret), "OUTSIDE": str(self.outside), "HOST": os.getpid(), "APP": str(Path(engine.__file__).parent),
                 "OTHER": str(self.other.folder), "TCP": self.tcp_port, "UDP": self.udp_port, "UNIX": self.unix_path}
        return "; ".join(f"{name} = {value!r}" for name, value in facts.items())

    def state(self) -> dict[str, object]:
        """Equal before and after an attack that failed."""
        app = Path(engine.__file__).parent / "agent" / "__init__.py"
        return {
            "secret": self.secret.read_text("utf-8"), "stat": _facts(self.secret), "outside": sorted(os.listdir(self.outside)),
            "app": _facts(app), "library": _facts(Path(os.__file__)),
            # Python itself writes compiled modules there.
            "sandbox": sorted(name for name in os.listdir(app.parents[1] / "sandbox") if name != "__pycache__"),
            "limits": [resource.getrlimit(limit) for limit in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)],
            "priority": os.getpriority(os.PRIO_PROCESS, 0), "cores": os.sched_getaffinity(0),
            "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            "other": sorted(os.listdir(self.other.folder)), "diary": (self.other.folder / "diary.txt").read_text("utf-8"),
            "heard": list(self.heard),
        }


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with JailSession(Limits()) as other, watched_by(tmp_path_factory.mktemp("outside"), other) as watching:
        yield watching


@pytest.fixture(scope="module")
def wasm_host(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> Iterator[Host]:
    with WasmSession(Limits(), runtime) as other, watched_by(tmp_path_factory.mktemp("outside"), other) as watching:
        yield watching


@contextmanager
def watched_by(outside: Path, other: Sandbox) -> Iterator[Host]:
    (outside / "secret.txt").write_text("the host's secret", "utf-8")
    tcp, udp, unix = (socket.socket(*kind) for kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
                                                        (socket.AF_UNIX, socket.SOCK_DGRAM)))
    tcp.bind(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    unix.bind(str(outside / "socket"))
    os.environ["HF_TOKEN"] = TOKEN
    with tcp, udp, unix:
        (other.folder / "diary.txt").write_text("the other visitor's diary", "utf-8")
        watching = Host(outside, other, tcp.getsockname()[1], udp.getsockname()[1], str(outside / "socket"))
        tcp.listen()
        for listen in (lambda: tcp.accept(), lambda: udp.recv(100), lambda: unix.recv(100)):
            threading.Thread(target=_on_interrupt, args=(watching.heard, listen), daemon=True).start()
        yield watching
    del os.environ["HF_TOKEN"]


def _on_interrupt(heard: list[str], listen: object) -> None:
    try:
        heard.append(repr(listen()))  # type: ignore[operator]
    except OSError:
        pass    # closed at the end


def _facts(path: Path) -> tuple[int, ...]:
    facts = path.stat()
    return facts.st_mode, facts.st_uid, facts.st_size, facts.st_mtime_ns, facts.st_nlink
