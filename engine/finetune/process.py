"""Starts the process of a run, and says how it ended. It outlives the app: the next process of the app finds it by number and start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from ..storage.alive import is_alive
from ..storage.finetune_runs import FineTuneRow
from .job import LOG

ROOT = Path(__file__).parents[2]
# What a trainer needs of the environment: no token, no key, no address.
KEPT = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV",
        "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "PYTORCH_CUDA_ALLOC_CONF")
NO_PROCESS = "0:0"      # as the name of one
POLL_S = 0.05


class TrainerProcess:
    """A process that this one started, or one that an earlier process of the app started (`name`, as in storage/alive.py)."""

    def __init__(self, name: str, child: subprocess.Popen[bytes] | None = None) -> None:
        self.name, self._child = name, child
        self._had_ended = child is None and not self.is_running()

    @classmethod
    def of(cls, row: FineTuneRow) -> TrainerProcess:
        return cls(row.trainer or NO_PROCESS)

    @classmethod
    def start(cls, folder: Path, *arguments: str) -> TrainerProcess:
        """Raises OSError."""
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1",
                           PYTHONWARNINGS="ignore::FutureWarning")
        with (folder / LOG).open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "engine.finetune.trainer", str(folder), *arguments], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        return cls(f"{child.pid}:{psutil.Process(child.pid).create_time():.0f}", child)

    @property
    def pid(self) -> int:
        return int(self.name.partition(":")[0])

    def is_running(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        try:        # one that has ended may still be listed, until its parent asks how
            return is_alive(self.name) and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def wait(self) -> int:
        """Block until it has ended. Returns its exit code, 0 if this process did not start it."""
        if self._child is not None:
            return self._child.wait()
        while self.is_running():
            time.sleep(POLL_S)
        return 0

    def kill(self) -> None:
        """End it and what it started, at once."""
        if self.is_running():
            with suppress(psutil.Error):
                process = psutil.Process(self.pid)
                for each in (*process.children(recursive=True), process):
                    with suppress(psutil.Error):
                        each.kill()

    def how_it_ended(self) -> str:
        """A sentence about a process that ended without a word."""
        code = self._child.poll() if self._child is not None else None
        match code:
            case None if self._had_ended:
                return "The process ended without a word while the app was not running."
            case None:      # only the process that started it is told how
                return "The process ended without a word. It may have been killed, perhaps because the machine's memory ran out."
            case 28:
                return "The disk is full."
            case -9:
                return "The process was killed (signal 9), perhaps because the machine's memory ran out."
            case int() if code < 0:
                return f"The process ended with signal {-code}."
        return f"The process ended with code {code}. The log has the details."


def is_training(row: FineTuneRow) -> bool:
    return TrainerProcess.of(row).is_running()
