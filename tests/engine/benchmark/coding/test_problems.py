"""Programming problems: the agent's programs, tested in a sandbox."""

import json

import pytest

from engine import Engine
from engine.benchmark.coding.problems import Problem, passes
from engine.benchmark.quality.tasks import read_task, run_task
from engine.errors import InvalidRequest, SandboxUnavailable
from engine.sandbox import open_sandbox

DOUBLE = Problem("from math import floor\n\ndef double(n):\n    \"\"\"Twice n.\"\"\"\n", "double",
                 "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n")


@pytest.fixture(autouse=True, scope="module")
def _needs_a_sandbox() -> None:
    try:
        open_sandbox().close()
    except SandboxUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(("code", "is_right"), [
    ("def double(n):\n    return floor(2 * n)", True), ("def double(n):\n    return n + 2", False), ("def double(n) return", False),
    ("import sys\nsys.exit(0)", False), ("raise SystemExit", False), ("def check(candidate):\n    pass", False)])
def test_a_program_passes_when_all_tests_do(code: str, is_right: bool) -> None:
    assert passes(DOUBLE, code) is is_right


@pytest.mark.parametrize("code", [
    "def double(n):\n    return 2 * n\n\nif __name__ == '__main__':\n    print(double(int(input())))",
    "import unittest\ndef double(n):\n    return 2 * n\n\nif __name__ == '__main__':\n    unittest.main()",
    "import sys\ndef double(n):\n    return 2 * n\n\nif __name__ == '__main__':\n    sys.exit(0)",
    "from __future__ import annotations\n\ndef double(n: int) -> int:\n    return 2 * n",
    "    return floor(2 * n)", "def helper(n):\n    return 2 * n\n\ndouble = helper\ndef double(n):\n    return helper(n)"],
    ids=["reads input", "unit tests", "exits", "future", "only the body", "two functions"])
def test_correct_programs_of_every_form_pass(code: str) -> None:
    assert passes(DOUBLE, code)


@pytest.mark.parametrize("prompt", ["def double(n):\n    # twice n\n", "import math\ndef double(n):", 'def double(n):\n    """Twice n."""'])
def test_a_prompt_whose_function_has_no_body_can_be_answered_with_a_whole_program(prompt: str) -> None:
    assert passes(Problem(prompt, "double", DOUBLE.test), "def double(n):\n    return 2 * n")


def test_the_built_in_model_is_scored_by_its_programs(builtin_engine: Engine) -> None:
    problem = {"prompt": "# print the factorial of 5\n", "entry_point": "str",
               "test": "def check(candidate):\n    assert candidate(1) == '1'"}
    wrong = {**problem, "test": "def check(candidate):\n    assert candidate(1) == 'x'"}
    first, last = run_task(builtin_engine, read_task("two", "\n".join(map(json.dumps, (problem, wrong)))))
    assert (first.metric, last.metric) == ("pass@1", "pass@1 with repairs")
    assert first.value <= last.value <= 0.5
    assert (first.samples, last.samples) == (2, 2)


@pytest.mark.parametrize("values", [{"entry_point": "os.system('x')"}, {"test": 5}, {"prompt": None}])
def test_a_line_that_is_not_a_problem_is_named(values: dict[str, object]) -> None:
    line = {"prompt": "def f(): pass", "entry_point": "f", "test": "def check(f): pass", **values}
    with pytest.raises(InvalidRequest, match=next(iter(values))):
        read_task("t", json.dumps(line))
