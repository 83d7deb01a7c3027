"""What one open page's Benchmark tab holds. Lives in gr.State; never shared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.benchmark import BlindComparison, ResultFilter

Panel = Literal["", "compare", "report"]
Place = Literal["speed", "sweep", "quality", "duel", "history"]      # where a problem is shown


@dataclass
class BenchmarkSession:
    """`shown`: the run that is looked at, "" for the newest. `problems`: what went wrong, by the place where it was asked for."""

    is_open: bool = False           # whether the tab was looked at
    stamp: str = ""                 # what the page last showed of jobs
    shown: str = ""
    text: str = ""
    kind: str = ""
    has_published: bool = False
    metric: str = ""                # of the picture of quality, "" for the page's choice
    ticked: tuple[str, ...] = ()
    panel: Panel = ""               # what is open above the history
    panel_uids: tuple[str, ...] = ()
    upload: Path | None = None
    revealed: BlindComparison | None = None    # voted on: who it was may be seen
    problems: dict[Place, Exception] = field(default_factory=dict)

    @property
    def wanted(self) -> ResultFilter:
        return ResultFilter(text=self.text, kinds=(self.kind,) if self.kind else ())
