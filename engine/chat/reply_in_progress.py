"""A reply while the model generates it: collected from the engine's events, read by any number of pages."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from ..messages import Finished, Prefill, ReasoningDelta, StreamEvent, TextDelta, Waiting
from ..storage.records import ChatMessage, Source
from ..storage.tool_steps import ToolStep
from ..tool_calls import ToolCallDelta


@dataclass(frozen=True, slots=True)
class Searching:
    """Files are searched for the reply."""


@dataclass(frozen=True, slots=True)
class ReplyProgress:
    """A snapshot of one reply. `problem`: why it failed; `save_problem`: why it could not be saved.

    `calling`: the tool whose call the model writes now.
    """

    message: ChatMessage
    waiting: Waiting | Prefill | Searching | None = None
    problem: Exception | None = None
    save_problem: Exception | None = None
    calling: str = ""

    @property
    def is_over(self) -> bool:
        return self.message.state != "writing"

    @property
    def is_thinking(self) -> bool:
        return bool(self.message.thoughts) and not self.message.text and not self.message.steps and not self.is_over

    @property
    def asks(self) -> ToolStep | None:
        """The call that waits for a person's approval."""
        return None if self.is_over else next((step for step in self.message.steps if step.state == "waiting"), None)


class ReplyInProgress:
    """`message`: the reply as it was when generation started or continued. Safe to use from many threads."""

    def __init__(self, message: ChatMessage) -> None:
        self._lock = threading.Lock()
        self._latest = ReplyProgress(message)
        self._text, self._thoughts = [message.text], [message.thoughts]
        self._first_thought: float | None = None        # when it came
        self._thought_s, self._thought_tokens = message.thought_s, message.thought_tokens
        self._earlier_s = message.thought_s
        self._waiting: Waiting | Prefill | Searching | None = None
        self._steps = {step.id: step.ended() for step in message.steps}        # a killed process left them open
        self._calling = ""

    def add(self, event: StreamEvent | ToolStep) -> None:
        with self._lock:
            match event:
                case ToolStep():
                    self._steps[event.id] = event
                    self._calling, self._waiting = "", None
                    self._pause_thoughts()
                case ToolCallDelta(name=name):
                    self._calling = name or self._calling
                    self._pause_thoughts()
                case TextDelta(text):
                    self._text.append(text)
                    self._pause_thoughts()
                case ReasoningDelta(text):
                    if self._first_thought is None and self._steps and self._thoughts[-1]:
                        self._thoughts.append("\n\n")       # those after a call
                    self._thoughts.append(text)
                    self._first_thought = self._first_thought or time.monotonic()
                    self._measure()
                case Waiting() | Prefill():
                    self._waiting = event
                case Finished(reason, usage, notes):
                    self._end_steps()
                    self._calling = ""
                    self._thought_tokens += usage.reasoning_tokens
                    self._latest = replace(self._latest, message=replace(
                        self._latest.message, state="stopped" if reason == "stopped" else "done", reason=reason, usage=usage, notes=notes))

    def _pause_thoughts(self) -> None:
        self._measure()
        self._first_thought, self._earlier_s = None, self._thought_s

    def _measure(self) -> None:
        """The thoughts last until now."""
        if self._first_thought is not None:
            self._thought_s = self._earlier_s + time.monotonic() - self._first_thought

    def _end_steps(self) -> None:
        self._steps = {name: step.ended() for name, step in self._steps.items()}

    def search(self) -> None:
        with self._lock:
            self._waiting = Searching()

    def use_sources(self, sources: tuple[Source, ...]) -> None:
        with self._lock:
            self._latest, self._waiting = replace(self._latest, message=replace(self._latest.message, sources=sources)), None

    def end_without_model(self, text: str) -> None:
        """The reply is a sentence of ours."""
        with self._lock:
            self._text = [text]
            self._latest = replace(self._latest, message=replace(self._latest.message, state="done", reason="stop", model=""))

    def fail(self, error: Exception) -> None:
        with self._lock:
            self._end_steps()
            message = replace(self._latest.message, state="failed", error=str(error))
            self._latest = replace(self._latest, message=message, problem=error)

    def set_save_problem(self, error: Exception | None) -> None:
        with self._lock:
            self._latest = replace(self._latest, save_problem=error)

    def snapshot(self) -> ReplyProgress:
        with self._lock:
            message = replace(self._latest.message, text="".join(self._text), thoughts="".join(self._thoughts),
                              thought_s=self._thought_s, thought_tokens=self._thought_tokens, steps=tuple(self._steps.values()))
            return replace(self._latest, message=message, waiting=self._waiting, calling=self._calling)
