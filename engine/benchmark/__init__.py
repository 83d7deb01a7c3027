"""Measures speed, quality and memory of models, and keeps and compares the results. Uses the engine's public interface."""

from ..storage.results import ResultFilter
from .benchmarks import blind_comparison_of
from .benchmarks import result_of as benchmark_result
from .benchmarks import step_of as benchmark_step
from .benchmarks import subject_of as benchmark_subject
from .blind_comparison import BlindComparison, ComparisonSide, Contender, Rating
from .cells import CellPlan
from .measure.limits import LimitShare
from .measure.load import ConcurrencyResult, VisitorPlan
from .measure.machine import Environment
from .measure.samples import Samples
from .measure.speed import ChatView, Speed, SpeedPlan
from .measure.subject import Subject
from .quality.harness import has_harness
from .quality.tasks import read_task
from .quality_runs import CostPlan, QualityPlan
from .store.exports import issue_report
from .store.history import Comparison, Format, Ratio
from .store.published import Published, published
from .store.records import BenchmarkRun, ModelFacts
from .store.scores import Score
from .sweep import FailedCell, SweepPlan

__all__ = [
    "BenchmarkRun",
    "CellPlan",
    "ChatView",
    "Comparison",
    "Contender",
    "CostPlan",
    "ConcurrencyResult",
    "BlindComparison",
    "ComparisonSide",
    "Environment",
    "FailedCell",
    "Format",
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
    "Subject",
    "SweepPlan",
    "VisitorPlan",
    "benchmark_result",
    "benchmark_step",
    "benchmark_subject",
    "blind_comparison_of",
    "has_harness",
    "issue_report",
    "published",
    "read_task",
]
