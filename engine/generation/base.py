"""What a lane is: token ids in, token ids out. Text is made elsewhere, the same way for every lane."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from ..messages import GenerationOptions, Prefill, Waiting

Lane = Literal["batched", "single"]
HEARTBEAT_S = 0.1       # a consumer can only be stopped between two events


@dataclass(frozen=True, slots=True)
class NewTokens:
    """The next ids of the reply, at least one; `cached_tokens` of the prompt were not computed again."""

    ids: tuple[int, ...]
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The lane is done: the model ended (stop), max_new_tokens were made (length), or the lane was closed (stopped)."""

    reason: Literal["stop", "length", "stopped"]


LaneEvent = Waiting | Prefill | NewTokens | Ended


class TokenGenerator(Protocol):
    """One way of making tokens. Safe to call from several threads.

    `stream` yields at least every HEARTBEAT_S; closing it stops the work within one step. It raises GenerationFailed
    and its kinds. Prompt and new tokens together must fit into `window_tokens`: the caller checks.
    """

    lane: Lane
    window_tokens: int

    def stream(self, prompt_ids: list[int], options: GenerationOptions) -> Generator[LaneEvent, None, None]: ...

    def close(self) -> None:
        """End every reply as stopped, free what the lane holds. It cannot be used afterwards."""


class Pausable(Protocol):
    """A lane that can stand aside while another one uses the model."""

    @property
    def running(self) -> int: ...

    def paused(self) -> AbstractContextManager[None]: ...
