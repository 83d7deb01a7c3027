"""Runs as a benchmark saves them, for tests of how the page shows them."""

from __future__ import annotations

from typing import Any

from engine import Quantization
from engine.benchmark import (
    BenchmarkRun,
    ChatView,
    ConcurrencyResult,
    Environment,
    LimitShare,
    ModelFacts,
    Samples,
    Score,
    Speed,
    SpeedPlan,
)

BAD = '<img src=x onerror="alert(1)">\'{x}|'
MACHINE = Environment("abc1234", "cpu", "Test CPU, 2 cores", "", "", 2, 2**33, "Linux", "3.11", "2.13.0", "5.23", "0.50")
EVEN, UNEVEN = Samples((100.0, 101.0, 99.0)), Samples((50.0, 60.0, 40.0))
SHARE = LimitShare(5e9, 20e9, 1e11, 4e11, Quantization.NONE)


def facts(model: str = "builtin", quantization: Quantization = Quantization.NONE) -> ModelFacts:
    return ModelFacts(model, "", 4_330_000, 8 * 2**20, "bfloat16", quantization, "sdpa", "batched", 1024, 4096)


def speed(prompt: Samples = EVEN, write: Samples = EVEN) -> Speed:
    seen = ChatView(40, 16, Samples((0.02, 0.03)), Samples((0.01, 0.01)), Samples((0.2, 0.2)), 0.009, 0.019)
    return Speed(SpeedPlan(32, 16, repetitions=3), prompt, write, (2, 2), 0, 2**29, 2**30, seen)


def crowd(visitors: int, throughput: float) -> ConcurrencyResult:
    return ConcurrencyResult(visitors, 2 * visitors, 128, 128 * visitors, 1.0, throughput, 0.01, 0.02, 0.01, 0.02, 0.75, 2.0, 0.2)


def score(samples: int = 20, task: str = "sums") -> Score:
    return Score(task, "acc", 0.9, 0.0688, samples)


def run(uid: str = "a1", at: float = 1_700_000_000.0, **changes: Any) -> BenchmarkRun:
    known: dict[str, Any] = {"speed": speed(), "share": SHARE, "load_s": 0.5, **changes}
    return BenchmarkRun(uid, at, known.pop("environment", MACHINE), known.pop("model", facts()), **known)


def quality(uid: str = "q1", **changes: Any) -> BenchmarkRun:
    return run(uid, **{"speed": None, "share": None, "scores": (score(),), **changes})
