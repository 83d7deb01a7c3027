"""The hardware and software that a measurement depends on."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...hardware import Hardware, detect

ROOT = Path(__file__).parents[3]
ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Environment:
    """Empty if absent or unknown. `device`: what the model ran on."""

    revision: str
    device: str
    cpu: str
    gpu: str
    driver: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    torch: str
    transformers: str
    bitsandbytes: str


@cache
def environment(hardware: Hardware) -> Environment:
    """Determined once per process."""
    cpu = hardware.name if hardware.kind == "cpu" else detect("cpu").name
    gpu = hardware.name if hardware.kind != "cpu" else ""
    driver = _answer("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if hardware.kind == "cuda" else ""
    return Environment(
        revision=_answer("git", "-C", str(ROOT), "describe", "--always", "--dirty"), device=hardware.kind, cpu=cpu, gpu=gpu,
        driver=driver, cores=hardware.cores, memory_bytes=hardware.total_bytes,
        system=f"{platform.system()} {platform.release()} {platform.machine()}", python=platform.python_version(),
        torch=_version("torch"), transformers=_version("transformers"), bitsandbytes=_version("bitsandbytes"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _answer(*command: str) -> str:
    """The first line of a program's output; empty if it is not installed or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(done.stdout.splitlines()), "").strip()
