"""An answer while it is being written: fed by one thread, watched by any number of pages, stopped by any of them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from ..background import StopSignal
from ..messages import Finished, Prefill, ReasoningDelta, StreamEvent, TextDelta, Waiting
from ..storage.records import ChatMessage


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at an answer. `problem`: why it broke; `save_problem`: why it could not be saved."""

    message: ChatMessage
    waiting: Waiting | Prefill | None = None
    problem: Exception | None = None
    save_problem: Exception | None = None

    @property
    def is_over(self) -> bool:
        return self.message.state != "writing"

    @property
    def is_thinking(self) -> bool:
        return bool(self.message.thoughts) and not self.message.text and not self.is_over


class LiveReply:
    """`message` is how the answer was when writing (or continuing) began."""

    def __init__(self, owner: str, chat_id: str, message: ChatMessage) -> None:
        self.owner, self.chat_id, self.message_id = owner, chat_id, message.id
        self.stop = StopSignal()
        self.ended = threading.Event()      # written, saved, and what was queued behind it is on its way
        self._lock = threading.Lock()
        self._latest = Progress(message)
        self._text, self._thoughts = [message.text], [message.thoughts]
        self._started = time.monotonic()
        self._thought_s = 0.0
        self._before_s = message.thought_s
        self._waiting: Waiting | Prefill | None = None

    def take(self, event: StreamEvent) -> None:
        with self._lock:
            seconds = time.monotonic() - self._started
            match event:
                case TextDelta(text):
                    self._text.append(text)
                case ReasoningDelta(text):
                    self._thoughts.append(text)
                    self._thought_s = seconds
                case Waiting() | Prefill():
                    self._waiting = event
                case Finished(reason, usage, notes):
                    self._latest = replace(self._latest, message=replace(
                        self._latest.message, state="stopped" if reason == "stopped" else "done", reason=reason, usage=usage, notes=notes))

    def fail(self, error: Exception) -> None:
        with self._lock:
            message = replace(self._latest.message, state="failed", error=str(error))
            self._latest = replace(self._latest, message=message, problem=error)

    def not_saved(self, error: Exception | None) -> None:
        with self._lock:
            self._latest = replace(self._latest, save_problem=error)

    def look(self) -> Progress:
        with self._lock:
            message = replace(self._latest.message, text="".join(self._text), thoughts="".join(self._thoughts),
                              thought_s=self._before_s + self._thought_s)
            return replace(self._latest, message=message, waiting=self._waiting)
