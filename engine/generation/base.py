"""The interface of a lane: token ids in, token ids out. Text is handled elsewhere, in the same way for all lanes."""

from __future__ import annotations

from collections.abc import Container, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from ..errors import InvalidRequest
from ..messages import GenerationOptions, Prefill, Waiting
from .shape_masks import ShapedAnswer
from .thought_limit import ThoughtLimit

Lane = Literal["batched", "single"]
HEARTBEAT_S = 0.1       # longest time between two events: a consumer can be stopped only when it receives one


@dataclass(frozen=True, slots=True)
class Score:
    """The log probability of a token, and the likeliest tokens in its place with theirs."""

    log_probability: float
    likeliest: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class NewTokens:
    """The next ids of the reply, at least one. `cached_tokens`: tokens of the prompt that were reused from the cache.

    `scores`: one for each id, if the options ask for log probabilities.
    """

    ids: tuple[int, ...]
    cached_tokens: int
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a reply: by the model (stop), at max_new_tokens (length), or because the lane was closed (stopped).

    `lacks_shape`: the answer was cut before it had the shape that it should have.
    """

    reason: Literal["stop", "length", "stopped"]
    lacks_shape: bool = False


LaneEvent = Waiting | Prefill | NewTokens | Ended


class TokenGenerator(Protocol):
    """One way of generating tokens. Safe to call from several threads.

    `stream` yields at least every HEARTBEAT_S; closing it stops the work within one step. It raises GenerationFailed and
    its subclasses. The caller checks that prompt and new tokens together fit into `window_tokens`. Visitors take turns.
    `thoughts`: ends the thoughts of this reply. `answer`: the shape of what follows them, compiled.
    """

    lane: Lane
    window_tokens: int

    def stream(self, prompt_ids: list[int], options: GenerationOptions, visitor: str = "",
               thoughts: ThoughtLimit | None = None, answer: ShapedAnswer | None = None) -> Generator[LaneEvent, None, None]: ...

    def close(self) -> None:
        """End every reply as stopped and free the lane's resources. The lane cannot be used afterwards."""

    def paused(self) -> AbstractContextManager[None]:
        """Exclusive use of the model until the block ends, for work other than replies; running replies wait."""

    @property
    def running(self) -> int: ...

    @property
    def waiting(self) -> int:
        """Of the running replies, those that others are generated before."""

    @property
    def cache_use(self) -> tuple[int, int]:
        """Blocks of the cache that replies hold now, and all blocks. (0, 0) without blocks."""

    def begin_closing(self) -> None:
        """Every reply ends as stopped, within a step."""


def require_known(ids: list[int], vocabulary: int, others: Container[int] = ()) -> None:
    """Raise InvalidRequest if the model has no embedding for one of the ids. `others`: ids besides those of its vocabulary."""
    unknown = next((token for token in ids if not 0 <= token < vocabulary and token not in others), None)
    if unknown is not None:
        raise InvalidRequest("a token of the prompt", unknown, f"one of the {vocabulary:,} that the model knows")
