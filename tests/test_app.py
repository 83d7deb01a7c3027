"""The app as a process: its output at the start, and its end with SIGTERM, as from Spaces, Docker and systemd, or with SIGKILL."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from engine.sandbox.folder import SessionFolder, remove_left_behind
from engine.storage.chats import ChatStore
from engine.storage.database import Database

ROOT = Path(__file__).parents[1]
START_S = 120
WORK = """
import runpy, sys, threading
import engine
from engine import Conversations, GenerationOptions, Question, open_sandbox
from engine.chat import Ask

class Writing(Conversations):
    # As a visitor who sends a message and runs a program when the model is ready.
    def __init__(self, engine):
        super().__init__(engine)
        threading.Thread(target=self.work, args=(engine,), daemon=True).start()

    def work(self, engine):
        for _ in engine.latest_load.follow():
            pass
        ask = Ask(GenerationOptions(max_new_tokens=4096, ignores_end=True))
        chat = self.send("ann", None, None, Question("Tell me everything"), [ask])
        for replies in self.follow("ann", chat.id):
            if replies[0].message.text:
                break
        self.sandbox = open_sandbox()
        events = self.sandbox.stream("import time; print('running', flush=True); time.sleep(600)", 600.0)
        next(events)
        print("WORKING", flush=True)
        for _ in events:
            pass

engine.Conversations = Writing
sys.argv = ["app.py"]
runpy.run_path("app.py", run_name="__main__")
"""
PROGRAM = """
from engine import open_sandbox
events = open_sandbox().stream("import time; print('running', flush=True); time.sleep(600)", 600.0)
next(events)
print("WORKING", flush=True)
for _ in events:
    pass
"""


def waits_for(check: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.05)
    return check()


@dataclass
class Started:
    """A process that works, and what it printed until then. Its temporary files are in `home / "tmp"`."""

    process: subprocess.Popen[str]
    lines: list[str]
    home: Path

    @property
    def folders(self) -> list[str]:
        return [path.name for path in (self.home / "tmp").glob("mindcubes-*")]


def start(code: str, home: Path, until: set[str]) -> Started:
    """Run `code` until there is a line with each of the first words `until`."""
    (home / "tmp").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home / "tmp"), "MINDCUBES_DATA_DIR": str(home / "data"),
               "GRADIO_SERVER_PORT": str(port), "CI": "true", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
               "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if until <= {line.split(" ")[0] for line in lines}:
            break
    else:
        pytest.fail("\n".join(lines))
    watchdog.cancel()
    return Started(process, lines, home)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """`python app.py` while it writes a reply and runs a program."""
    started = start(WORK, tmp_path_factory.mktemp("app"), {"Loaded", "Open", "WORKING"})
    yield started
    started.process.kill()


def test_the_start_prints_one_line_for_each_step_and_nothing_else(app: Started) -> None:
    loading, *rest = (line for line in app.lines if line != "WORKING")
    assert re.fullmatch(r"Loading .+ in the background", loading)
    assert len(rest) == 2, app.lines
    assert any(re.fullmatch(r"Loaded .+ in \d+ s", line) for line in rest)
    assert any(re.match(r"Open http://127\.0\.0\.1:\d+", line) for line in rest)


def test_a_terminated_app_saves_its_replies_and_leaves_nothing_behind(app: Started) -> None:
    children = psutil.Process(app.process.pid).children(recursive=True)
    assert children
    assert app.folders
    app.process.send_signal(signal.SIGTERM)
    app.process.communicate(timeout=10)
    store = ChatStore(Database(app.home / "data"))
    reply = store.get("ann", store.list("ann")[0].id).path[-1]
    assert reply.state in ("stopped", "interrupted")
    assert reply.text
    assert app.folders == []
    assert waits_for(lambda: not any(map(lives, children)), 5)


def lives(child: psutil.Process) -> bool:
    return child.is_running() and child.status() != psutil.STATUS_ZOMBIE


def test_the_command_explains_its_options() -> None:
    shown = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--verbose" in shown


@pytest.mark.parametrize("end", ["", "from app import _give_up; _give_up(3)"], ids=["at its end", "after END_S"])
def test_a_folder_that_nobody_closed_goes_with_the_process(tmp_path: Path, end: str) -> None:
    """As one that a probe in another thread makes while the app ends."""
    code = f"from engine.sandbox.folder import SessionFolder; print(SessionFolder({{}}).root.name); {end}"
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ended.returncode == (3 if end else 0), ended.stderr
    assert list(tmp_path.glob("mindcubes-*")) == []


def test_after_a_kill_no_process_remains_and_the_next_start_removes_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What remains is the matter of the sandbox; tests/browser/test_sharing.py kills an app."""
    working = start(PROGRAM, tmp_path, {"WORKING"})
    children = psutil.Process(working.process.pid).children(recursive=True)
    assert children
    working.process.kill()
    working.process.communicate(timeout=10)
    assert waits_for(lambda: not any(map(lives, children)), 10)
    assert working.folders
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    mine = SessionFolder({})
    remove_left_behind()
    assert working.folders == [mine.root.name]        # that of a process which lives
    mine.remove()


def test_folders_of_other_programs_are_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("mindcubes-other", "mindcubes-1-2", "mindcubes-removed-abc", "mindcubes-4000000-17-dead"):
        (tmp_path / name).mkdir()
    assert remove_left_behind() == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mindcubes-1-2", "mindcubes-other", "mindcubes-removed-abc"]
