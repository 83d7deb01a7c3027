"""A benchmark for machines that the tests do not run on still runs: here with a tiny model, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


def run(tmp_path: Path, *arguments: str) -> str:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "MINDCUBES_DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True,
                          timeout=150)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_gpu_benchmark_measures_a_tiny_model_on_the_cpu(tmp_path: Path) -> None:
    printed = run(tmp_path, "--tiny", "--device", "cpu", "--out", str(tmp_path / "gpu.json"))
    found = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert found
    assert f"{len(found)} loads measured" in printed
    for measured in found:
        assert [row["users"] for row in measured["rows"]] == [1, 2, 8]
        assert all(row["prompt_rate"] > 0 for row in measured["rows"])
        assert measured["rows"][0]["decode_rate"] > 0
        assert measured["peak"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure for minutes")
def test_without_a_gpu_the_gpu_benchmark_says_so_in_one_line(tmp_path: Path) -> None:
    assert run(tmp_path).count("\n") == 1
