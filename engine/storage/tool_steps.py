"""The calls of tools in a reply, as values that are stored with its message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

# In order: a person is asked; the tool works; its result is there; it could not do it; a person refused it; nobody answered in time;
# the reply was stopped before the call was made; it was stopped while the tool worked, so that the call may have been made.
StepState = Literal["waiting", "running", "done", "failed", "refused", "expired", "stopped", "interrupted"]
OPEN = ("waiting", "running")
OURS = ("calculator", "clock")      # groups whose results the app itself computes: every other result is text of somebody else
SHARED = (*OURS, "python")          # groups whose results a shared copy of a chat shows


@dataclass(frozen=True, slots=True)
class ToolStep:
    """`id`: unique in its reply. `group`: the entry of the list of tools. `at`: how many characters of the reply's text come before it.

    `round`: the model's calls of one round were made together. `can_be_trusted`: a person may approve all calls of this tool in the chat.
    """

    id: str
    name: str
    arguments: str = "{}"
    state: StepState = "done"
    result: str = ""
    seconds: float = 0.0
    at: int = 0
    round: int = 1
    group: str = ""
    can_be_trusted: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def is_foreign(self) -> bool:
        """Whether the result is text that was not made here, and so may try to give orders to the model."""
        return self.group not in OURS

    def ended(self) -> ToolStep:
        """As it is when its reply is no longer in progress."""
        return replace(self, state="interrupted" if self.state == "running" else "stopped") if self.is_open else self

    def for_others(self) -> ToolStep:
        """For a shared copy: without what was read from the owner's files, or by a server of the operator."""
        return self.ended() if self.group in SHARED else replace(self.ended(), result="")
