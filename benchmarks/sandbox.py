"""Measures how fast a session of each sandbox tier opens, and how long a step takes: python -m benchmarks.sandbox

Cold start: from opening a session until its first, empty program has run. Warm step: an empty program after that. Memory:
proportional set size of the session's processes, after the empty programs and after `import numpy`, if the tier has it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from engine import open_sandbox
from engine.sandbox import probe_sandboxes

ROUNDS, STEPS = 7, 50
MIB = 2**20


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def held_bytes() -> int:
    """Return the proportional set size of all child processes."""
    total = 0
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            total += int(child.memory_full_info().pss)
        except (psutil.Error, AttributeError):
            continue
    return total


def measure(tier: str) -> None:
    cold, warm, plot = [], [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        before = held_bytes()
        with open_sandbox(tier) as sandbox:
            sandbox.run("pass")
            cold.append(time.perf_counter() - started)
            warm += [timed(lambda: sandbox.run("pass")) for _ in range(STEPS)]
            empty = held_bytes() - before
            plot.append(timed(lambda: sandbox.run("import numpy; print(numpy.arange(10).sum())", 30.0)))
            full = held_bytes() - before
    worst = sorted(warm)[int(0.95 * len(warm))]
    print(f"{tier:<6} cold start median {statistics.median(cold) * 1e3:6.0f} ms, worst {max(cold) * 1e3:6.0f} ms   "
          f"warm step median {statistics.median(warm) * 1e3:6.2f} ms, p95 {worst * 1e3:6.2f} ms   "
          f"first numpy {statistics.median(plot) * 1e3:5.0f} ms   memory {empty / MIB:5.0f} MiB, then {full / MIB:5.0f} MiB")


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    print(f"{ROUNDS} sessions of each tier, {STEPS} steps in each; load average {os.getloadavg()[0]:.1f}, "
          f"{Path('/proc/cpuinfo').exists() and os.cpu_count()} cores")
    for report in probe_sandboxes():
        if report.is_available:
            measure(report.tier)
        else:
            print(f"{report.tier:<6} off: {report.reason}")


if __name__ == "__main__":
    main()
