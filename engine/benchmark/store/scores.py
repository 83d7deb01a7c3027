"""One number that says how good, with how many samples it stands on."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMOKE_SAMPLES = 50      # below, a score shows that it runs, not how good


@dataclass(frozen=True, slots=True)
class Score:
    """`samples`: questions, or scored tokens where `metric` is a perplexity or a divergence. `stderr` in units of `value`.

    `reference`: what it is compared with, for metrics of two models.
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
