"""The process of a run is ended with everything that it started."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from engine.finetune.process import TrainerProcess

SLEEP = "import time; time.sleep(30)"


def test_a_process_and_what_it_started_are_ended_also_without_process_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no process groups."""
    program = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True); {SLEEP}"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        started = psutil.Process(int(child.stdout.readline()))
        monkeypatch.delattr(os, "killpg")
        process = TrainerProcess(f"{child.pid}:{psutil.Process(child.pid).create_time():.0f}", child)

        process.kill()

        process.wait()
        started.wait(20)
        assert not process.is_running()
        assert "killed (signal 9)" in process.how_it_ended()
