"""The history of runs: list, compare, export, import, delete."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...errors import InvalidRequest
from ...storage.database import Database
from ...storage.results import ResultFilter, ResultStore
from .exports import read_runs, to_csv, to_json, to_markdown
from .records import BenchmarkRun, of_row, row_of

MAX_SHOWN = 1_000
Format = Literal["json", "csv", "markdown"]
WRITERS = {"json": to_json, "csv": to_csv, "markdown": to_markdown}
# Conditions that can change the numbers; other differences are not reported.
CONDITIONS = ("environment", "model")


@dataclass(frozen=True, slots=True)
class Ratio:
    """`second` over `first` of one measurement that both runs have. `is_better`: whether the second run is better."""

    name: str
    unit: str
    first: float
    second: float
    higher_is_better: bool

    @property
    def ratio(self) -> float:
        return self.second / self.first if self.first else 0.0

    @property
    def is_better(self) -> bool:
        return (self.second > self.first) == self.higher_is_better and self.second != self.first


@dataclass(frozen=True, slots=True)
class Difference:
    """One condition in which two runs differ: `field` is its path, as in environment.torch or plan.new_tokens."""

    field: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Comparison:
    first: BenchmarkRun
    second: BenchmarkRun
    ratios: tuple[Ratio, ...]
    differences: tuple[Difference, ...]


class RunHistory:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._store = ResultStore(database)

    def add(self, runs: Iterable[BenchmarkRun]) -> int:
        """Save runs and return the number of new ones."""
        return self._store.add([row_of(run) for run in runs])

    def list(self, wanted: ResultFilter | None = None, limit: int = MAX_SHOWN) -> tuple[BenchmarkRun, ...]:
        """Return the runs, newest first."""
        return tuple(of_row(row) for row in self._store.list(wanted or ResultFilter(), limit))

    def get(self, uid: str) -> BenchmarkRun:
        """Return a run. Raises InvalidRequest for an unknown one."""
        row = self._store.get(uid)
        if row is None:
            raise InvalidRequest("run", uid[:64], "one of those that are kept; it may have been deleted")
        return of_row(row)

    def some(self, uids: Collection[str]) -> tuple[BenchmarkRun, ...]:
        """Return the runs of `uids` that still exist, in that order."""
        rows = (self._store.get(uid) for uid in uids)
        return tuple(of_row(row) for row in rows if row is not None)

    def cells(self, sweep: str) -> frozenset[str]:
        """Return the measured cells of a sweep."""
        return self._store.cells(sweep)

    def delete(self, uids: Collection[str]) -> int:
        """Delete runs and return their number."""
        return self._store.delete(uids)

    def export(self, uids: Collection[str], form: Format) -> str:
        """Export runs in llama-bench's format, in the given order. Raises InvalidRequest for an unknown run."""
        return WRITERS[form](self.get(uid) for uid in uids)

    def import_runs(self, text: str, origin: str) -> tuple[BenchmarkRun, ...]:
        """Import the runs of another machine's JSON export; known runs stay as they are. Raises InvalidRequest."""
        runs = read_runs(text, origin)
        self.add(runs)
        return runs

    def compare(self, first: str, second: str) -> Comparison:
        """Compare two runs. Raises InvalidRequest for an unknown one."""
        return compare(self.get(first), self.get(second))


def compare(first: BenchmarkRun, second: BenchmarkRun) -> Comparison:
    left, right = measurements(first), measurements(second)
    ratios = tuple(Ratio(name, unit, value, right[name][0], is_higher)
                   for name, (value, unit, is_higher) in left.items() if name in right)
    return Comparison(first, second, ratios, _differences(_conditions(first), _conditions(second)))


def measurements(run: BenchmarkRun) -> dict[str, tuple[float, str, bool]]:
    """Return every number of a run that can be compared, by name: value, unit, whether higher is better."""
    found: dict[str, tuple[float, str, bool]] = {"weight_bytes": (run.model.weight_bytes, "B", False)}
    if run.load_s is not None:
        found["load_s"] = (run.load_s, "s", False)
    if run.load_peak_bytes is not None:
        found["load_peak_bytes"] = (run.load_peak_bytes, "B", False)
    if run.speed is not None:
        found |= {"prompt": (run.speed.prompt.mean, "tok/s", True), "write": (run.speed.write.mean, "tok/s", True),
                  "resting_bytes": (run.speed.resting_bytes, "B", False), "peak_bytes": (run.speed.peak_bytes, "B", False)}
    if run.speed is not None and run.speed.chat is not None:
        chat = run.speed.chat
        found |= {"ttft_s": (chat.ttft_s.mean, "s", False), "tpot_s": (chat.tpot_s.mean, "s", False),
                  "e2e_s": (chat.e2e_s.mean, "s", False),
                  "itl_p50_s": (chat.itl_p50_s, "s", False), "itl_p95_s": (chat.itl_p95_s, "s", False)}
    for crowd in run.crowds:
        found |= {f"throughput_{crowd.visitors}": (crowd.throughput, "tok/s", True),
                  f"ttft_p95_{crowd.visitors}": (crowd.ttft_p95_s, "s", False), f"goodput_{crowd.visitors}": (crowd.goodput, "", True)}
    for score in run.scores:
        found[f"{score.task} {score.metric}"] = (score.value, "", score.higher_is_better)
    return found


def _conditions(run: BenchmarkRun) -> dict[str, Any]:
    whole = asdict(run)
    plan = whole["speed"]["plan"] if whole["speed"] else {}
    groups = {**{name: whole[name] for name in CONDITIONS}, "plan": plan}
    return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items() if name != "weight_bytes"}


def _differences(first: dict[str, Any], second: dict[str, Any]) -> tuple[Difference, ...]:
    names = dict.fromkeys((*first, *second))
    return tuple(Difference(name, str(first.get(name, "")), str(second.get(name, ""))) for name in names
                 if first.get(name, "") != second.get(name, ""))
