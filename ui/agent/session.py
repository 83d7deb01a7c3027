"""State of one page's Code agent tab. Kept in gr.State, never shared between pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.agent import AgentRun


@dataclass
class AgentSession:
    """`run`: the run as this page last saw it; None while the tab is empty. `following` is counted up whenever the page shows a run."""

    owner: str = ""
    run: AgentRun | None = None
    uploads: list[Path] = field(default_factory=list)       # for the next task
    problem: Exception | None = None
    approve_first: bool = True      # the model's programs wait for the visitor's approval
    following: int = 0
    must_follow: bool = False       # work has started, and the next event must follow it
    is_open: bool = False           # the tab has been opened

    def show_run(self, run: AgentRun | None) -> None:
        self.run, self.problem = run, None
        self.following += 1
        self.must_follow = run is not None and run.is_working
