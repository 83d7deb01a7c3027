"""Reads an iterator in a thread of its own, so that who waits for it can stop waiting at any time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
TICK_S = 0.1        # the longest silence: a page's Stop is delivered only between two events
POLL_S = 0.02       # how soon a set stop is seen
LEAVE_S = 0.5       # how long the end of the work is awaited after a stop


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None = None


def pumped(source: Callable[[], Iterator[Item]], stop: threading.Event) -> Generator[Item | None, None, None]:
    """What `source()` yields, and None for every `TICK_S` of silence. Ends early when `stop` is set.

    The iterator is made, read and closed in the other thread: at its next item after a stop. Raises what it raises.
    """
    items: queue.Queue[Item | _Ended] = queue.Queue()
    left = threading.Event()
    thread = threading.Thread(target=_pump, args=(source, items, left), name="agent", daemon=True)
    thread.start()
    heard = time.monotonic()
    try:
        while not stop.is_set():
            try:
                item = items.get(timeout=POLL_S)
            except queue.Empty:
                if time.monotonic() - heard >= TICK_S:
                    heard = time.monotonic()
                    yield None
                continue
            heard = time.monotonic()
            if not isinstance(item, _Ended):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                return
    finally:
        left.set()
        thread.join(LEAVE_S)


def _pump(source: Callable[[], Iterator[Item]], items: queue.Queue[Item | _Ended], left: threading.Event) -> None:
    iterator: Iterator[Item] | None = None
    try:
        iterator = source()
        for item in iterator:
            if left.is_set():
                break
            items.put(item)
    except BaseException as error:
        items.put(_Ended(error))
    else:
        items.put(_Ended())
    finally:
        if iterator is not None and hasattr(iterator, "close"):
            iterator.close()
