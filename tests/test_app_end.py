"""The app is ended with SIGTERM, as Spaces, Docker and systemd do: nothing is lost, and no process or folder remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from engine.sandbox.folder import SessionFolder, remove_left_behind
from engine.storage.chats import ChatStore
from engine.storage.database import Database

from .test_app_start import ROOT, START_S, free_port

WORK = """
import sys, threading
import app
from engine import Conversations, Engine, GenerationOptions, Question, open_sandbox
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

app.Conversations = Writing
sys.exit(app.main([]))
"""


def waits_for(check: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.05)
    return check()


@pytest.fixture
def working(tmp_path: Path) -> subprocess.Popen[str]:
    """The app while it writes a reply and runs a program; its temporary files are in `tmp_path / "tmp"`."""
    (tmp_path / "tmp").mkdir()
    environ = {**os.environ, "HOME": str(tmp_path), "MINDCUBES_DATA_DIR": str(tmp_path / "data"), "CI": "true",
               "TMPDIR": str(tmp_path / "tmp"), "GRADIO_SERVER_PORT": str(free_port()), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([sys.executable, "-c", WORK], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if {"WORKING", "Open"} <= {line.split(" ")[0].strip() for line in lines}:
            break
    else:
        pytest.fail("".join(lines))
    watchdog.cancel()
    return process


def folders(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "tmp").glob("mindcubes-*")]


def test_a_terminated_app_saves_its_replies_and_leaves_nothing_behind(working: subprocess.Popen[str], tmp_path: Path) -> None:
    children = psutil.Process(working.pid).children(recursive=True)
    assert folders(tmp_path)
    working.send_signal(signal.SIGTERM)
    working.communicate(timeout=10)
    store = ChatStore(Database(tmp_path / "data"))
    reply = store.get("ann", store.list("ann")[0].id).path[-1]
    assert reply.state in ("stopped", "interrupted")
    assert reply.text
    assert folders(tmp_path) == []
    assert waits_for(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children), 5)


@pytest.mark.parametrize("end", ["", "from app import _give_up; _give_up(3)"], ids=["at its end", "after END_S"])
def test_a_folder_that_nobody_closed_goes_with_the_process(tmp_path: Path, end: str) -> None:
    """As one that a probe in another thread makes while the app ends."""
    code = f"from engine.sandbox.folder import SessionFolder; print(SessionFolder({{}}).root.name); {end}"
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ended.returncode == (3 if end else 0), ended.stderr
    assert list(tmp_path.glob("mindcubes-*")) == []


def test_after_a_kill_no_process_remains_and_the_next_start_removes_the_folders(
        working: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = psutil.Process(working.pid).children(recursive=True)
    working.kill()
    working.communicate(timeout=10)
    assert waits_for(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children), 10)
    assert folders(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    mine = SessionFolder({})
    remove_left_behind()
    assert folders(tmp_path) == [mine.root.name]        # that of a process which lives
    mine.remove()


def test_folders_of_other_programs_are_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("mindcubes-other", "mindcubes-1-2", "mindcubes-removed-abc", "mindcubes-4000000-17-dead"):
        (tmp_path / name).mkdir()
    assert remove_left_behind() == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mindcubes-1-2", "mindcubes-other", "mindcubes-removed-abc"]
