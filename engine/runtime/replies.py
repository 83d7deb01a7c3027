"""A reply on its way through the engine: it is counted for its visitor, and waits until the model may be used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING

from ..errors import EngineBusy
from ..messages import Finished, StreamEvent, Usage, Waiting
from ..models.spec import ModelSpec
from ..visitors import VisitorBook
from .admission import Admission, Reservation

if TYPE_CHECKING:
    from .serving_model import ServingModel

Events = Generator[StreamEvent, None, None]
Begin = Callable[["ServingModel"], Events]


def counted(visitors: VisitorBook, visitor: str, size: int, events: Events) -> Events:
    """The events of a reply to a message of so many characters. Raises EngineBusy and InvalidRequest over a limit of the visitor."""
    with visitors.reply(visitor, size) as count, closing(events):
        for event in events:
            if isinstance(event, Finished):
                count(event.usage)
            yield event


def admitted(admission: Admission, begin: Begin, stop: threading.Event | None, spec: ModelSpec | None,
             reservation: Reservation | None) -> Events:
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
    """Raises EngineBusy if another model is loaded."""
    if spec is not None and model.spec != spec:
        raise EngineBusy(f"{model.spec.name} was loaded in the meantime", f"Load {spec.name} again.")
