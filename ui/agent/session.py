"""State of one page's Code agent tab. Kept in gr.State, never shared between pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.agent import AgentRun


@dataclass
class AgentSession:
    """`run`: as this page last saw it; None while the tab is empty. `following` counts up whenever the page turns to a run."""

    owner: str = ""
    run: AgentRun | None = None
    uploads: list[Path] = field(default_factory=list)       # for the next task
    problem: Exception | None = None
    approve_first: bool = True      # programs of the model wait for approval
    following: int = 0
    must_follow: bool = False       # work has begun that the next event is to follow
    is_open: bool = False           # the tab has been opened

    def turn_to(self, run: AgentRun | None) -> None:
        self.run, self.problem = run, None
        self.following += 1
        self.must_follow = run is not None and run.is_working
