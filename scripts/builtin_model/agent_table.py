"""Runs every kind of program through the whole code agent, including the sandbox, and counts the correct results.

    python -m scripts.builtin_model.agent_table --out docs/agent.md

Each kind is requested with held-out phrasings and values, once in English and once in Turkish, and a third time with a
misspelled name inserted into the model's first program, so that it has to repair the NameError. A task is right if it ends
with a clean run that prints exactly what the reference prints. Greedy decoding.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine import Engine, Finished, GenerationOptions, LocalModelProvider, Message, Settings, StreamEvent, TextDelta, Usage
from engine.agent.code_agent import CodeAgent
from engine.agent.events import Final, StepEnded, StepError, Stopped

from . import corpus
from .corpus import Turn
from .evaluate import printed
from .programs.task import Task
from .repairs import break_program


class Breaking:
    """A provider whose first reply is a given text. All later replies come from the model."""

    def __init__(self, provider: LocalModelProvider, first: str) -> None:
        self._provider, self._first = provider, first

    @property
    def name(self) -> str:
        return self._provider.name

    def chat(self, messages: Sequence[Message], options: GenerationOptions) -> Iterator[StreamEvent]:
        first, self._first = self._first, ""
        if not first:
            yield from self._provider.chat(messages, options)
            return
        yield TextDelta(first)
        yield Finished("stop", Usage(0, 0, 0, 0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Asked:
    """`broken`: a program that replaces the model's first one, or empty."""

    kind: str
    turn: Turn
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    asked: Asked
    end: str            # why the agent ended
    errors: int         # failed runs
    calls: int
    is_right: bool


def questions(seed: int) -> Iterator[Asked]:
    rng = random.Random(seed)
    for task in corpus.TASKS:
        for language in corpus.LANGUAGES:
            yield Asked(f"{task.name} {language}", corpus.program_turn(task, language, "heldout", rng))
        yield misspelled(task, rng)


def misspelled(task: Task, rng: random.Random) -> Asked:
    """Return a task whose first program is of this kind and raises a NameError."""
    while True:
        turn = corpus.program_turn(task, rng.choice(corpus.LANGUAGES), "heldout", rng)
        assert turn.program is not None
        broken = break_program(turn.program, rng)
        if broken is not None and "\nNameError" in broken[1]:
            return Asked(f"{task.name} repair", turn, broken[0])


def ask(provider: LocalModelProvider, asked: Asked) -> Result:
    source = Breaking(provider, f"{corpus.INTRO['en']}\n\n{corpus.fenced(asked.broken)}") if asked.broken else provider
    with CodeAgent(source) as agent:
        events = list(agent.stream(asked.turn.question))
    last = events[-1]
    assert isinstance(last, Final | Stopped)
    assert asked.turn.program is not None
    is_right = isinstance(last, Final) and last.reason == "clean_run" and last.stdout == printed(asked.turn.program)
    calls = sum(event.calls for event in events if isinstance(event, StepEnded))
    return Result(asked, last.reason, sum(isinstance(event, StepError) for event in events), calls, is_right)


def table(results: Sequence[Result]) -> str:
    """Return a summary, and a table with a row for each kind."""
    by_kind: dict[str, dict[str, Result]] = {}
    for result in results:
        name, column = result.asked.kind.split()
        by_kind.setdefault(name, {})[column] = result
    both = sum(row["en"].is_right and row["tr"].is_right for row in by_kind.values())
    repaired = sum(row["repair"].is_right for row in by_kind.values())
    runs = [result for result in results if not result.asked.broken]
    total = len(by_kind)
    rows = [f"| {name} | {_cell(row['en'])} | {_cell(row['tr'])} | {_cell(row['repair'])} |" for name, row in by_kind.items()]
    return "\n".join([
        f"- Kinds right in both languages: **{both} of {total}**.",
        f"- Tasks right: {sum(run.is_right for run in runs)} of {len(runs)}; "
        f"with a failed run in between: {sum(run.errors > 0 for run in runs)}.",
        f"- Forced NameErrors repaired: {repaired} of {total}.",
        f"- Model calls per task: {sum(run.calls for run in runs) / len(runs):.2f} on average.", "",
        "| kind | English | Turkish | NameError repaired |", "|---|---|---|---|", *rows])


def _cell(result: Result) -> str:
    return "right" if result.is_right else f"**{'wrong output' if result.end == 'clean_run' else result.end.replace('_', ' ')}**"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=30_000)
    parser.add_argument("--threads", type=int, default=8, help="number of tasks at the same time")
    parser.add_argument("--out", type=Path, help="write the table here too")
    parser.add_argument("--misses", action="store_true", help="print every task that did not end right")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Settings(data_dir=Path(folder)))
        provider = LocalModelProvider(engine=engine)
        provider.load()
        with ThreadPoolExecutor(options.threads) as pool:
            results = list(pool.map(lambda asked: ask(provider, asked), questions(options.seed)))
        engine.close()
    print(shown := table(results))
    if options.misses:
        for result in results:
            if not result.is_right:
                print(f"\n--- {result.asked.kind}, {result.end}: {result.asked.turn.question}\n{result.asked.broken}")
    if options.out:
        title = "# The built-in model in the code agent"
        options.out.write_text(f"{title}\n\n{(__doc__ or '').strip()}\n\n{shown}\n", "utf-8")


if __name__ == "__main__":
    main()
