"""Programming problems in HumanEval's form, run in the sandbox."""

from .problems import Problem, passes, read_problem, run_problems

__all__ = ["Problem", "passes", "read_problem", "run_problems"]
