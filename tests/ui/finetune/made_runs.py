"""Runs made by hand, for what the page shows of them."""

from __future__ import annotations

import math
from dataclasses import replace

from engine import ModelSpec
from engine.finetune import Estimate, FineTunePlan, LabelScore, Measured, MemoryPart, Metrics, Mistake, Point, Run, Value
from engine.models import Verdict

GIB = 2**30
PLAN = FineTunePlan("text-classification", "0" * 32, {"text": "review", "label": "mood"}, ModelSpec("builtin"), "lora", "reviews")
ESTIMATE = Estimate(
    (MemoryPart("process", GIB // 2), MemoryPart("weights", GIB), MemoryPart("logits", GIB // 2)), free_bytes=4 * GIB, seconds=120,
    disk_bytes=40_000_000, free_disk_bytes=50_000_000_000, verdict=Verdict.FITS, steps=60, parameters=4_000_000, trained_parameters=100_000)
MISTAKE = Mistake(7, "<b>fine</b>, I said", "good", "bad", 0.9, 2.5)


def points(count: int) -> tuple[Point, ...]:
    """One for each step; every tenth is measured on held-back examples."""
    return tuple(Point(step, step / 2, loss=3 * math.exp(-step / 20), learning_rate=2e-4, tokens_per_second=600.0, memory_bytes=GIB,
                       eval_loss=3.0 if step % 10 == 0 else None, metric=step / 100 if step % 10 == 0 else None)
                 for step in range(1, count + 1))


def metrics(share: float) -> Metrics:
    values = (Value("f1", share), Value("matthews", share - 0.2), Value("loss", 1 - share))
    return Metrics("f1", values, 20, ("bad", "good"), ((9, 1), (4, 6)), (LabelScore("bad", share, share, share, 10),), (MISTAKE,))


RUNNING = Run("a" * 32, "reviews", PLAN, "running", 1e9, phase="train", step=30, total=60, seconds_left=44.0, points=points(30),
              before=metrics(0.5), estimate=ESTIMATE, num_train=180, num_validation=20, log="loading\n")
DONE = replace(RUNNING, state="done", phase="", step=60, points=points(60), after=metrics(0.8), best_step=50, has_result=True,
               stop_kind="finished", checkpoint=60, measured=Measured(GIB, 60.0, 41_000_000, 90.0))
FAILED = replace(RUNNING, state="failed", phase="", reason="The loss is <not> a number.", checkpoint=20)
