"""What one open page's Knowledge tab holds. Lives in gr.State; never shared between pages."""

from __future__ import annotations

from dataclasses import dataclass

from engine.knowledge import SearchMode, SearchResult


@dataclass(frozen=True, slots=True)
class Trial:
    """A question that was tried, and what it found. `seconds`: how long the search took."""

    query: str
    mode: SearchMode
    result: SearchResult
    seconds: float


@dataclass
class KnowledgeSession:
    """`chosen`: id of the collection that is shown, "" for none."""

    is_open: bool = False           # whether the tab was looked at
    chosen: str = ""
    problem: Exception | None = None
    trial: Trial | None = None
    num_shown: int = 0              # documents shown beyond the usual number

    def choose(self, collection: str) -> None:
        self.chosen, self.problem, self.trial, self.num_shown = collection, None, None, 0
