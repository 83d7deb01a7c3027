"""One visitor's conversation, as the page keeps it between two events. Lives in gr.State; no locks, nothing shared."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from engine import Finished, Message, Prefill, ReasoningDelta, StreamEvent, TextDelta, Waiting


@dataclass
class Turn:
    """A question and its answer, which grows while events arrive."""

    question: str
    answer: str = ""
    thoughts: str = ""
    progress: Waiting | Prefill | None = None
    finished: Finished | None = None
    is_stopped: bool = False
    is_loading: bool = False        # it waits for the model
    counted_tokens: int = 0         # of a stopped answer, for which the engine sends no usage
    started: float = field(default_factory=time.monotonic)
    first_s: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.is_stopped or self.finished is not None

    @property
    def is_thinking(self) -> bool:
        return bool(self.thoughts) and not self.answer and not self.is_over

    def take(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(piece):
                self.answer += piece
            case ReasoningDelta(piece):
                self.thoughts += piece
            case Waiting() | Prefill():
                self.progress = event
            case Finished():
                self.finished = event
        if not self.first_s and (self.answer or self.thoughts):
            self.first_s = time.monotonic() - self.started


@dataclass
class Conversation:
    """`writing` is the turn that is being answered; `is_stopping` asks its handler to end."""

    turns: list[Turn] = field(default_factory=list)
    writing: Turn | None = None
    is_stopping: bool = False

    def messages(self, system_prompt: str) -> list[Message]:
        """What the model is to read: thoughts stay out, and so do turns that were stopped before the first word."""
        messages = [Message("system", system_prompt.strip())] if system_prompt.strip() else []
        for turn in self.turns:
            if turn is not self.writing and not turn.answer:
                continue
            messages.append(Message("user", turn.question))
            if turn is not self.writing:
                messages.append(Message("assistant", turn.answer))
        return messages

    def begin(self, question: str) -> Turn:
        self.writing, self.is_stopping = Turn(question), False
        self.turns.append(self.writing)
        return self.writing

    def end(self, turn: Turn) -> None:
        """The handler of `turn` is done. What is not finished was stopped."""
        turn.is_stopped = turn.finished is None
        if self.writing is turn:
            self.writing, self.is_stopping = None, False

    def clear(self) -> None:
        """Empty it. A reply that is being written ends by itself, because its turn is no longer the one being written."""
        self.turns, self.writing, self.is_stopping = [], None, False

    def wants(self, turn: Turn) -> bool:
        """Whether `turn` should go on."""
        return self.writing is turn and not self.is_stopping
