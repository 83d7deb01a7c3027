"""Progress output while packages are installed."""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.install import _show

ROOT = Path(__file__).parents[2]
PIP = ["Collecting gradio<6.32,>=6.31\n", "  Downloading gradio-6.31.0-py3-none-any.whl (56.1 MB)\n", "Collecting six\n",
       "  Using cached six-1.17.0-py2.py3-none-any.whl (11 kB)\n", "Installing collected packages: six, gradio\n",
       "Successfully installed gradio-6.31.0 six-1.17.0\n"]


def lines_of(text: list[str]) -> queue.SimpleQueue[str | None]:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for line in (*text, None):
        lines.put(line)
    return lines


def test_a_log_gets_a_line_for_large_packages_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert _show(lines_of(PIP), time.monotonic(), is_terminal=False) == PIP
    assert capsys.readouterr().out.splitlines() == ["  gradio 6.31.0 (56.1 MB)", "  2 packages, 56 MB, in 0 s"]


def test_a_terminal_gets_one_line_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    _show(lines_of(PIP), time.monotonic(), is_terminal=True)
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert "1 packages, 56 MB, 0 s: gradio 6.31.0 (56.1 MB)" in shown
    assert "unpacking 2 packages" in shown


def test_a_failed_installation_shows_why_and_fails() -> None:
    done = subprocess.run([sys.executable, "scripts/install.py", "--no-index", "no-such-package-here"], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode != 0
    assert "No matching distribution found for no-such-package-here" in done.stderr
