"""A quality score with its standard error and number of samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMOKE_SAMPLES = 50      # with fewer, a score is only a smoke test


@dataclass(frozen=True, slots=True)
class Score:
    """`samples`: questions, or scored tokens where `metric` is a perplexity or a divergence. `stderr` in units of `value`.

    `reference`: the model that metrics of two models compare with.
    """

    task: str
    metric: str
    value: float
    stderr: float
    samples: int
    higher_is_better: bool = True
    reference: str = ""
    note: str = ""

    @property
    def is_smoke(self) -> bool:
        return self.samples < SMOKE_SAMPLES


def accuracy(task: str, metric: str, hits: list[bool], note: str = "") -> Score:
    """Standard error of a share: sqrt(p (1 - p) / (n - 1)), as lm-eval computes it; 0 for one sample."""
    n = len(hits)
    share = sum(hits) / n
    return Score(task, metric, share, math.sqrt(share * (1 - share) / (n - 1)) if n > 1 else 0.0, n, note=note)
