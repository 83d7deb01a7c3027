"""What a trainer process tells the app: one JSON object in each line of a file, which survives both of them.

A run may have several processes, one after the other; each adds to the same file. Lines that cannot be read are skipped: the last one
of a killed process may be cut off. Points are thinned out when there are many, so the file and what is read of it stay bounded.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest
from ..storage import strict
from .checkpoints import metrics_of
from .run import Measured, Metrics, Phase, Point

EVENTS = "events.jsonl"
MAX_EVENT_BYTES = 4 << 20       # of one line: metrics of many classes with their worst mistakes
MAX_POINTS = 2000


@dataclass(frozen=True, slots=True)
class Started:
    """The process has begun. `process`: as in storage/alive.py. `step`: from which it goes on."""

    process: str
    total: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class InPhase:
    phase: Phase
    note: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """After every step, at most twice a second. `seconds_left`: of training."""

    step: int
    total: int
    epoch: float
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A complete checkpoint. `best`: the step whose checkpoint is the best so far."""

    step: int
    best: int | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """`when`: "before" training, or "after"."""

    when: str
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Note:
    sentence: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of a process. `stop_kind`: as in `Run`; "" with a reason: it failed. `best`: the step that `result` holds."""

    stop_kind: str
    reason: str = ""
    measured: Measured = field(default_factory=Measured)
    best: int | None = None
    has_result: bool = False


Event = Started | InPhase | Progress | Point | Saved | Scores | Note | Ended
KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Started, InPhase, Progress, Point, Saved, Scores, Note, Ended)}


class EventWriter:
    """Appends to the file of one run. A full disk does not end the run: what could not be written is dropped.

    A line that was cut off, by that or because a process was killed, is ended first, so that it takes no other line with it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS

    def write(self, event: Event) -> None:
        line = json.dumps({"event": type(event).__name__, "at": round(time.time(), 3), **_finite(asdict(event))}, ensure_ascii=False)
        try:
            with self._path.open("a+b") as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else f"\n{line}"
                file.write(line.encode("utf-8", "replace") + b"\n")
        except OSError as error:
            print(f"An event could not be written: {error}", flush=True)


    def end(self, ended: Ended) -> None:
        """Write the last event of a process, after what the result reached if that is known."""
        reached = metrics_of(self._path.parent, ended.best) if ended.has_result and ended.best is not None else None
        if reached is not None:
            self.write(Scores("after", reached))
        self.write(ended)


def read_events(folder: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The events from a place in the file on, and the place after the last complete line."""
    path = folder / EVENTS
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], 0
    end = content.rfind(b"\n") + 1
    return list(_parsed(content[:end])), offset + end


def size_of(folder: Path) -> int:
    try:
        return os.stat(folder / EVENTS).st_size
    except OSError:
        return 0


def thinned(points: list[Point]) -> list[Point]:
    """Every second point of a loss where there are too many; those of evaluations stay."""
    while len(points) > MAX_POINTS:
        kept = [point for at, point in enumerate(points) if at % 2 or point.eval_loss is not None]
        if len(kept) == len(points):
            return points[-MAX_POINTS:]
        points = kept
    return points


def _parsed(content: bytes) -> Iterator[Event]:
    for line in content.splitlines():
        if not line.strip() or len(line) > MAX_EVENT_BYTES:
            continue
        try:
            value = json.loads(line)
            yield strict.read(KINDS[value.pop("event")], value, "the event")
        except (ValueError, KeyError, AttributeError, InvalidRequest):      # cut off, or of another version
            continue


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    match value:
        case dict():
            return {name: _finite(each) for name, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case float() if not math.isfinite(value):
            return None
    return value
