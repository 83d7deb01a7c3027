"""A jail to attack, and a host that watches what becomes of it."""

from __future__ import annotations

import os
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import engine
from engine.agent.sandbox.base import Limits
from engine.agent.sandbox.guest import landlock
from engine.agent.sandbox.guest.syscalls import this_architecture
from engine.agent.sandbox.jail import JailBox

TOKEN = "hf_this_is_a_secret_of_the_host"


@pytest.fixture(scope="session", autouse=True)
def _needs_a_jail() -> None:
    if not sys.platform.startswith("linux") or this_architecture() is None or not landlock.abi():
        pytest.skip("this platform has no jail: it needs Linux on x86-64 or aarch64 with Landlock")


@pytest.fixture
def box() -> Iterator[JailBox]:
    with JailBox(Limits()) as opened:
        yield opened


@dataclass(slots=True)
class Host:
    """What attacks aim at. `heard` collects whatever reaches one of its sockets."""

    outside: Path
    other: JailBox
    tcp_port: int
    udp_port: int
    unix_path: str
    heard: list[str] = field(default_factory=list)

    @property
    def secret(self) -> Path:
        return self.outside / "secret.txt"

    @property
    def constants(self) -> str:
        """The first line of every attack: where the things are that it wants."""
        facts = {"SECRET": str(self.secret), "OUTSIDE": str(self.outside), "HOST": os.getpid(), "APP": str(Path(engine.__file__).parent),
                 "OTHER": str(self.other.folder), "TCP": self.tcp_port, "UDP": self.udp_port, "UNIX": self.unix_path}
        return "; ".join(f"{name} = {value!r}" for name, value in facts.items())

    def state(self) -> dict[str, object]:
        """Equal before and after an attack that failed."""
        app = Path(engine.__file__).parent / "agent" / "__init__.py"
        return {
            "secret": self.secret.read_text("utf-8"), "stat": _facts(self.secret), "outside": sorted(os.listdir(self.outside)),
            "app": _facts(app), "library": _facts(Path(os.__file__)), "sandbox": sorted(os.listdir(app.parent / "sandbox")),
            "limits": [resource.getrlimit(limit) for limit in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)],
            "priority": os.getpriority(os.PRIO_PROCESS, 0), "cores": os.sched_getaffinity(0),
            "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            "other": sorted(os.listdir(self.other.folder)), "diary": (self.other.folder / "diary.txt").read_text("utf-8"),
            "heard": list(self.heard),
        }


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text("the host's secret", "utf-8")
    tcp, udp, unix = (socket.socket(*kind) for kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
                                                        (socket.AF_UNIX, socket.SOCK_DGRAM)))
    tcp.bind(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    unix.bind(str(outside / "socket"))
    os.environ["HF_TOKEN"] = TOKEN
    with JailBox(Limits()) as other, tcp, udp, unix:
        (other.folder / "diary.txt").write_text("the other visitor's diary", "utf-8")
        watched = Host(outside, other, tcp.getsockname()[1], udp.getsockname()[1], str(outside / "socket"))
        tcp.listen()
        for listen in (lambda: tcp.accept(), lambda: udp.recv(100), lambda: unix.recv(100)):
            threading.Thread(target=_hear, args=(watched.heard, listen), daemon=True).start()
        yield watched
    del os.environ["HF_TOKEN"]


def _hear(heard: list[str], listen: object) -> None:
    try:
        heard.append(repr(listen()))  # type: ignore[operator]
    except OSError:
        pass    # closed at the end


def _facts(path: Path) -> tuple[int, ...]:
    facts = path.stat()
    return facts.st_mode, facts.st_uid, facts.st_size, facts.st_mtime_ns, facts.st_nlink
