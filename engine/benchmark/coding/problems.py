"""Programming problems in HumanEval's format, solved by the code agent and tested in a sandbox.

    {"task_id": "x/0", "prompt": "def f(n):\\n    ...", "entry_point": "f", "test": "def check(candidate): ..."}

The agent sees the errors of its own runs and may repair them, but never the tests. One run gives two scores: pass@1 of its first
program and of its last.
"""

from __future__ import annotations

import ast
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...agent.code_agent import CodeAgent
from ...agent.events import CodeWritten
from ...agent.loop import AgentOptions
from ...agent.window import UNKNOWN_TOKENS
from ...messages import GenerationOptions, Message, StreamEvent
from ...sandbox import open_sandbox
from ...storage.formats import Value
from ..measure.control import Control, MeasurementStep
from ..store.scores import Score, accuracy

if TYPE_CHECKING:
    from ...runtime.engine import Engine
    from ...runtime.serving_model import ServingModel

# Run one after another in one namespace: each may begin with imports from __future__.
RUN_PARTS = ("names = {{'__name__': 'solution'}}\nfor part in {parts!r}:\n"
             "    exec(compile(part, 'solution.py', 'exec', dont_inherit=True), names)\n")
TEST_S = 10.0           # of one problem's tests
MAX_TOKENS = 768        # of one program


@dataclass(frozen=True, slots=True)
class Problem:
    prompt: str
    entry_point: str
    test: str


def read_problem(value: Value) -> Problem:
    """Read one problem. Raises InvalidRequest, which names what is missing."""
    entry = value.get("entry_point")
    if not entry.text().isidentifier():
        raise entry.wrong("the name of a function")
    return Problem(value.get("prompt").text(), entry.text(), value.get("test").text())


class _Loaded:
    """The loaded model as a provider with the measurement's exclusive use."""

    def __init__(self, engine: Engine, model: ServingModel, control: Control) -> None:
        self._engine, self._model, self._control = engine, model, control

    @property
    def name(self) -> str:
        return self._model.spec.name

    @property
    def window_tokens(self) -> int:
        return self._model.window_tokens or UNKNOWN_TOKENS

    def count_tokens(self, text: str) -> int:
        return self._model.count_tokens(text)

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        return self._engine.chat(messages, options, spec=self._model.spec, reservation=self._control.reservation)


def run_problems(engine: Engine, model: ServingModel, name: str, problems: Sequence[Problem], control: Control) -> tuple[Score, ...]:
    """Score the loaded model on the problems. Raises JobStopped, SandboxUnavailable, and what `CodeAgent.stream` raises."""
    first: list[bool] = []
    last: list[bool] = []
    for number, problem in enumerate(problems):
        control.step(MeasurementStep("quality", number, len(problems)))
        programs = list(_programs(engine, model, problem, control))
        first.append(bool(programs) and passes(problem, programs[0], engine.settings.is_public))
        last.append(first[-1] if len(programs) < 2 else passes(problem, programs[-1], engine.settings.is_public))
    return accuracy(name, "pass@1", first), accuracy(name, "pass@1 with repairs", last)


def _programs(engine: Engine, model: ServingModel, problem: Problem, control: Control) -> Iterator[str]:
    """Return the programs that the agent writes for a problem, in a separate sandbox session."""
    options = AgentOptions(generation=GenerationOptions(max_new_tokens=MAX_TOKENS, temperature=0.0))
    task = f"Complete this Python function. Write the whole function.\n\n```python\n{problem.prompt.rstrip()}\n```"
    with (open_sandbox(is_public=engine.settings.is_public) as sandbox,
          CodeAgent(_Loaded(engine, model, control), sandbox, options) as agent,
          closing(agent.stream(task)) as events):
        for event in events:
            control.check()
            if isinstance(event, CodeWritten):
                yield event.code


def _solution(problem: Problem, code: str) -> tuple[str, ...]:
    """Return the prompt followed by the whole program or, if that does not define the function, by its continuation of the prompt."""
    try:
        defined = {node.name for node in ast.parse(code).body if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        defined = set()
    if problem.entry_point not in defined:
        return (f"{problem.prompt.rstrip(chr(10))}\n{code}",)
    try:
        ast.parse(problem.prompt)
    except (SyntaxError, ValueError, RecursionError, MemoryError):     # its last function has no body, not even a docstring
        return f"{problem.prompt.rstrip()}\n    pass\n", code
    return problem.prompt, code


def passes(problem: Problem, code: str, is_public: bool = False) -> bool:
    """Whether a program passes the tests, in a fresh session. The prompt comes first: its imports and helpers belong to it.

    As in the original harness (github.com/openai/human-eval, execution.py), none of it runs as `__main__`. A random word is printed
    after the tests, so that a program that exits early does not pass.
    """
    word = secrets.token_hex(16)
    parts = (*_solution(problem, code), problem.test, f"check({problem.entry_point})\nprint({word!r})\n")
    program = RUN_PARTS.format(parts=list(parts))
    with open_sandbox(is_public=is_public) as sandbox:
        result = sandbox.run(program, TEST_S)
    return result.ok and result.stdout.rstrip().endswith(word)
