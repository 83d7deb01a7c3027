"""Questions to a person whether a tool may be called. A reply waits for the answer without holding the model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from ..background import StopSignal

Decision = Literal["approve", "always", "refuse"]
APPROVAL_S = 600.0              # how long a question stays open
READABLE_CHARS = 20_000         # of the arguments of a call: a person who is asked about more of them cannot read them
PUBLIC_APPROVAL_S = 120.0       # on a public page, where a waiting reply is one of a limited number


@dataclass
class ApprovalQuestion:
    """Whether one call may be made. `decision`: None until it is answered."""

    owner: str
    can_be_trusted: bool
    decision: Decision | None = None
    answered: threading.Event = field(default_factory=threading.Event)

    def wait(self, stop: StopSignal, timeout_s: float) -> Decision | None:
        """Wait for the answer; None if the time is over or `stop` is set."""
        stop.subscribe(self.answered.set)
        try:
            self.answered.wait(timeout_s)
        finally:
            stop.unsubscribe(self.answered.set)
        return self.decision


class Approvals:
    """Safe to use from many threads. A question is named by its message and its step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[int, str], ApprovalQuestion] = {}

    @contextmanager
    def question(self, owner: str, message_id: int, step_id: str, *, can_be_trusted: bool) -> Iterator[ApprovalQuestion]:
        """A question that can be answered while the block runs."""
        question = ApprovalQuestion(owner, can_be_trusted)
        with self._lock:
            self._open[message_id, step_id] = question
        try:
            yield question
        finally:
            with self._lock:
                del self._open[message_id, step_id]

    def decide(self, owner: str, message_id: int, step_id: str, decision: Decision) -> bool:
        """Answer an open question of this owner. False if there is none: it was answered, its time is over, or its reply was stopped.

        "always" approves this call only where the tool cannot be trusted for the rest of a chat.
        """
        with self._lock:
            question = self._open.get((message_id, step_id))
            if question is None or question.owner != owner or question.answered.is_set():
                return False
            question.decision = "approve" if decision == "always" and not question.can_be_trusted else decision
            question.answered.set()
            return True
