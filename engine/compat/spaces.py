"""What is used of the package `spaces` of ZeroGPU. It imports Gradio, so it is imported only here, and only where a GPU is lent.

`spaces.GPU` is documented. That it reports refusals as a gradio.Error with a title and an English sentence is not; tests/spaces_standin
does the same, and a refusal that is not understood is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Event = TypeVar("Event")
WAIT = re.compile(r"Try again in ((?:\d+ days?, )?\d+:\d{2}:\d{2})")


def lend(task: Callable[..., Generator[Event, None, None]], duration: Callable[..., int]) -> Callable[..., Generator[Event, None, None]]:
    """Return `task` as a function that runs in a forked process with a GPU. Arguments and events are pickled.

    `duration`: of the same arguments, in seconds; then the process is ended. Define it before the page is launched.
    """
    import spaces

    lent: Callable[..., Generator[Event, None, None]] = spaces.GPU(duration=duration)(task)
    return lent


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no GPU was lent. `wait`: as hours:minutes:seconds until the quota is renewed, or "". `detail`: the package's sentence."""

    kind: Literal["quota", "busy", "other"]
    wait: str
    detail: str


def refusal(error: BaseException) -> Refusal | None:
    """The refusal that an error of the package reports; None for any other error."""
    title: Any = getattr(error, "title", "")
    if not isinstance(title, str) or not title.startswith("ZeroGPU"):
        return None
    detail = str(getattr(error, "message", error))
    if "No GPU was available" in detail or "pending credits" in title:      # the former has the title of an exceeded quota
        return Refusal("busy", "", detail)
    found = WAIT.search(detail)
    return Refusal("quota" if "quota" in title else "other", found[1] if found else "", detail)
