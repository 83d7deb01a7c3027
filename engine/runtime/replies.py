"""A reply on its way through the engine: it is counted for its visitor, and waits until the model may be used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from ..errors import EngineBusy
from ..messages import Finished, GenerationOptions, Message, Prefill, ReasoningDelta, StreamEvent, TextDelta, Usage, Waiting
from ..models.spec import ModelSpec
from ..tool_calls import ToolCallDelta
from ..visitors import VisitorBook
from .admission import Admission, Reservation

if TYPE_CHECKING:
    from .serving_model import ServingModel

CHARS_PER_TOKEN = 4     # roughly, for a reply that was left before its prompt was counted
Events = Generator[StreamEvent, None, None]
Step = TypeVar("Step")
Begin = Callable[["ServingModel"], Events]


def new_chars(messages: Sequence[Message], options: GenerationOptions | None = None) -> int:
    """Characters of what a request adds to a chat: the system prompt, tools, and what follows the last calls of tools, or the last message
    of the user if that is longer, as it is for a client that makes up calls.
    """
    asked, called = (max((place for place, each in enumerate(messages) if is_last(each)), default=0)
                     for is_last in (lambda each: each.role == "user", lambda each: bool(each.tool_calls)))
    rules = sum(len(each.content) for each in messages if each.role == "system")
    offered = sum(len(tool.description) + len(tool.parameters) for tool in (options.tools if options else ()))
    first = next((place for place in range(asked, len(messages)) if messages[place].tool_calls), len(messages))
    return rules + offered + max(_chars(messages[asked:first]), _chars(messages[max(asked, called):]))


def _chars(messages: Sequence[Message]) -> int:
    return sum(len(each.content) + sum(len(call.arguments) for call in each.tool_calls) for each in messages if each.role != "system")


def counted(visitors: VisitorBook, visitor: str, size: int, events: Events) -> Events:
    """The events of a reply to a message of so many characters. Raises EngineBusy and InvalidRequest over a limit of the visitor."""
    with visitors.reply(visitor, size) as count, closing(events):
        prompt, new = size // CHARS_PER_TOKEN, 0       # until it has finished, which it does not if nobody waits for the end
        for event in events:
            match event:
                case Finished(usage=usage):
                    count(max(0, usage.prompt_tokens - usage.cached_tokens), usage.new_tokens)
                case Prefill(total=total):
                    prompt = total
                case TextDelta() | ReasoningDelta() | ToolCallDelta():
                    new += 1
                    count(prompt, new)
            yield event


def admitted(admission: Admission, begin: Callable[[ServingModel], Generator[Step, None, None]], stop: threading.Event | None,
             spec: ModelSpec | None, reservation: Reservation | None) -> Generator[Step | Waiting | Finished, None, None]:
    """Wait for the model, then yield what `begin` yields with it. `spec`: the model that must be loaded.

    Raises EngineBusy and NoModelLoaded.
    """
    started = time.monotonic()
    while (lease := admission.lease_soon(reservation)) is None:
        if stop is not None and stop.is_set():
            yield Finished("stopped", Usage(0, 0, 0, time.monotonic() - started, 0.0))
            return
        yield Waiting(0, time.monotonic() - started)
    with lease as model:
        require_spec(model, spec)
        with closing(begin(model)) as events:
            yield from events


def require_spec(model: ServingModel, spec: ModelSpec | None) -> None:
    """Raises EngineBusy if another model is loaded. Its adapter may be another one: a reply names its own."""
    if spec is not None and model.spec.base != spec.base:
        raise EngineBusy(f"{model.spec.name} was loaded in the meantime", f"Load {spec.name} again.")
