"""Measures the code agent on problems in HumanEval's format: pass@1 of its first program, and of its last after up to two repairs.

    python -m benchmarks.agent problems.jsonl [--model builtin] [--quantization none] [--limit 20] [--out result.json]
    python -m benchmarks.agent problems.jsonl --check

A line is {"task_id", "prompt", "entry_point", "test", "canonical_solution"}. The model repairs errors that its own runs show. It never
sees the tests, which run afterwards in a fresh sandbox. `--check` runs the same tests on the canonical solutions instead.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import AgentOptions, CodeAgent, Engine, GenerationOptions, LocalModelProvider, ModelSpec, Quantization, Settings, open_sandbox
from engine.agent import CodeWritten, Final, StepEnded, StepError, Stopped
from engine.benchmark.coding import Problem, passes, read_problem
from engine.storage.formats import Value

OPTIONS = AgentOptions(max_repairs=2, generation=GenerationOptions(max_new_tokens=768, temperature=0.0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one problem. `seconds`: time of the model and its programs, without the hidden tests."""

    name: str
    first: bool
    last: bool
    has_program: bool
    is_killed: bool
    calls: int
    tokens: int
    seconds: float
    end: str


def read(path: Path) -> list[tuple[str, Problem, str]]:
    """Return the name, problem and canonical solution of every line. Raises InvalidRequest."""
    found = []
    for number, line in enumerate(filter(str.strip, path.read_text("utf-8").splitlines()), 1):
        values = json.loads(line)
        problem = read_problem(Value(values, f"line {number}"))
        found.append((str(values.get("task_id", number)), problem, values.get("canonical_solution", "")))
    return found


def solve(provider: LocalModelProvider, name: str, problem: Problem) -> Outcome:
    task = f"Complete this Python function. Write the whole function.\n\n```python\n{problem.prompt.rstrip()}\n```"
    programs: list[str] = []
    calls = tokens = 0
    is_killed, end, started = False, "", time.perf_counter()
    with open_sandbox() as sandbox, CodeAgent(provider, sandbox, OPTIONS) as agent:
        for event in agent.stream(task):
            match event:
                case CodeWritten(code):
                    programs.append(code)
                case StepError(killed=True):
                    is_killed = True
                case StepEnded():
                    calls, tokens = calls + event.calls, tokens + event.tokens
                case Final(reason=reason) | Stopped(reason=reason):
                    end = reason
    seconds = time.perf_counter() - started
    first = bool(programs) and passes(problem, programs[0])
    last = first if len(programs) < 2 else passes(problem, programs[-1])
    return Outcome(name, first, last, bool(programs), is_killed, calls, tokens, seconds, end)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the results as text, each share with its standard error, sqrt(p (1 - p) / n)."""
    count = len(outcomes)

    def share(values: Sequence[bool]) -> str:
        part = sum(values) / count
        return f"{part:6.1%} ± {math.sqrt(part * (1 - part) / count):.1%}"

    lines = [
        f"{count} problems", f"pass@1                  {share([each.first for each in outcomes])}",
        f"pass with two repairs   {share([each.last for each in outcomes])}",
        f"replies with a program  {share([each.has_program for each in outcomes])}",
        f"programs killed         {share([each.is_killed for each in outcomes])}",
        f"calls for a problem     {sum(each.calls for each in outcomes) / count:6.2f}",
        f"tokens for a problem    {sum(each.tokens for each in outcomes) / count:6.0f}",
        f"seconds for a problem   {sum(each.seconds for each in outcomes) / count:6.2f}"]
    return "\n".join(lines)


def check(problems: Sequence[tuple[str, Problem, str]]) -> int:
    """Test the canonical solutions in the sandbox, and return how many fail."""
    failed = [name for name, problem, solution in problems if not passes(problem, problem.prompt + solution)]
    print(f"{len(problems) - len(failed)} of {len(problems)} canonical solutions pass" + (f"; not {', '.join(failed)}" if failed else ""))
    return len(failed)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--quantization", default="none", choices=[each.value for each in Quantization])
    parser.add_argument("--limit", type=int, help="use only the first N problems", metavar="N")
    parser.add_argument("--out", type=Path, help="write the result of every problem here, as JSON")
    parser.add_argument("--check", action="store_true", help="test the canonical solutions, without a model")
    options = parser.parse_args()
    problems = read(options.problems)[:options.limit]
    if options.check:
        return 1 if check(problems) else 0
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Settings(data_dir=Path(folder)))
        spec = ModelSpec(options.model, quantization=Quantization(options.quantization))
        for _ in engine.load(spec):
            pass
        provider = LocalModelProvider(options.model, engine=engine)
        provider.spec = spec
        outcomes = []
        for name, problem, _ in problems:
            outcomes.append(solve(provider, name, problem))
            each = outcomes[-1]
            print(f"{name:<24} first {'pass' if each.first else 'fail'}  last {'pass' if each.last else 'fail'}  {each.calls} calls  "
                  f"{each.tokens} tokens  {each.seconds:.1f} s  {each.end}", flush=True)
        engine.close()
    print(f"\n{options.model}, {options.quantization}: {summary(outcomes)}")
    if options.out:
        options.out.write_text(json.dumps([asdict(each) for each in outcomes], indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
