"""How fast, how good, at what memory: measured, kept and compared. Holds no model; drives the engine like everybody else."""

from ..storage.results import ResultFilter
from .benchmarks import duel_of
from .benchmarks import result_of as benchmark_result
from .benchmarks import step_of as benchmark_step
from .blind_comparison import Contender, Duel, Rating
from .blind_comparison import Side as DuelSide
from .cells import CellPlan
from .measure.limits import Share as LimitShare
from .measure.load import Crowd, VisitorPlan
from .measure.machine import Environment
from .measure.samples import Samples
from .measure.speed import ChatView, Speed, SpeedPlan
from .quality.harness import has_harness
from .quality.quality import CostPlan, QualityPlan
from .quality.scores import Score
from .quality.tasks import read_task
from .store.exports import issue_report
from .store.history import Comparison, Ratio
from .store.published import Published, published
from .store.records import ModelFacts
from .store.records import Run as BenchmarkRun
from .sweep import FailedCell, SweepPlan

__all__ = [
    "BenchmarkRun",
    "CellPlan",
    "ChatView",
    "Comparison",
    "Contender",
    "CostPlan",
    "Crowd",
    "Duel",
    "DuelSide",
    "Environment",
    "FailedCell",
    "LimitShare",
    "ModelFacts",
    "Published",
    "QualityPlan",
    "Rating",
    "Ratio",
    "ResultFilter",
    "Samples",
    "Score",
    "Speed",
    "SpeedPlan",
    "SweepPlan",
    "VisitorPlan",
    "benchmark_result",
    "benchmark_step",
    "duel_of",
    "has_harness",
    "issue_report",
    "published",
    "read_task",
]
