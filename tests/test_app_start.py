"""Terminal output at the start: one line for each step, and no output of libraries."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
START_S = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def started(tmp_path: Path) -> list[str]:
    """What `python app.py` prints until the page is up and its model is loaded."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MINDCUBES_DATA_DIR": str(tmp_path / "data"), "CI": "true",
               "GRADIO_SERVER_PORT": str(free_port()), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    lines: list[str] = []
    with subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(START_S, process.kill)
        watchdog.start()
        for line in process.stdout:
            lines.append(line.rstrip())
            if {"Loaded", "Open"} <= {line.split(" ")[0] for line in lines if line}:
                break
        watchdog.cancel()
        process.terminate()
    return lines


def test_the_start_prints_one_line_for_each_step_and_nothing_else(started: list[str]) -> None:
    loading, *rest = started
    assert re.fullmatch(r"Loading .+ in the background", loading)
    assert len(rest) == 2, started
    assert any(re.fullmatch(r"Loaded .+ in \d+ s", line) for line in rest)
    assert any(re.match(r"Open http://127\.0\.0\.1:\d+", line) for line in rest)


def test_the_command_explains_its_options() -> None:
    shown = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--verbose" in shown
