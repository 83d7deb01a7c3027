"""What a run keeps in memory between its tasks: its agent and its sandbox session.

Sessions that have not been used for a while are closed. The run's files are stored separately and copied into its next session.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..sandbox.base import Sandbox
from .code_agent import CodeAgent

MAX_SESSIONS = 8        # sandbox sessions at once: some 70 MB each
IDLE_S = 600.0


@dataclass(slots=True)
class Workspace:
    """`last_used`: monotonic seconds."""

    agent: CodeAgent | None = None
    sandbox: Sandbox | None = None
    last_used: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        if self.sandbox is not None:
            self.sandbox.close()


class Workspaces:
    """Workspaces by run. Safe to use from many threads; `is_working` returns whether a run is in progress and must not be closed."""

    def __init__(self, is_working: Callable[[str], bool]) -> None:
        self._is_working = is_working
        self._lock = threading.Lock()
        self._workspaces: dict[str, Workspace] = {}

    def of(self, run_id: str) -> Workspace:
        """Return the run's workspace; an empty one if it has none."""
        with self._lock:
            return self._workspaces.setdefault(run_id, Workspace())

    def has_agent(self, run_id: str) -> bool:
        with self._lock:
            workspace = self._workspaces.get(run_id)
        return workspace is not None and workspace.agent is not None

    def make_room(self) -> None:
        """Close idle sessions before a new one is opened and, at MAX_SESSIONS, the one that has been unused longest."""
        self.close_idle()
        with self._lock:
            unused = sorted((workspace.last_used, run_id) for run_id, workspace in self._workspaces.items()
                            if workspace.sandbox and not self._is_working(run_id))
            is_full = sum(workspace.sandbox is not None for workspace in self._workspaces.values()) >= MAX_SESSIONS
            oldest = [self._workspaces.pop(unused[0][1])] if is_full and unused else []
        _close(oldest)

    def close_idle(self) -> None:
        limit = time.monotonic() - IDLE_S
        with self._lock:
            idle = [run_id for run_id, workspace in self._workspaces.items()
                    if not self._is_working(run_id) and workspace.last_used < limit]
            removed = [self._workspaces.pop(run_id) for run_id in idle]
        _close(removed)

    def remove(self, run_id: str) -> None:
        with self._lock:
            workspace = self._workspaces.pop(run_id, None)
        _close([workspace] if workspace else [])

    def close(self) -> None:
        with self._lock:
            removed, self._workspaces = list(self._workspaces.values()), {}
        _close(removed)


def _close(workspaces: list[Workspace]) -> None:
    for workspace in workspaces:
        workspace.close()
