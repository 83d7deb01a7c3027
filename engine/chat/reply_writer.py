"""Generates one reply in the thread of its task, and saves what there is of it. Text is saved at least every SAVE_S seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from ..background import StopSignal, in_thread
from ..errors import EngineError, GenerationFailed, StorageError
from ..messages import Message
from ..storage.chats import ChatStore
from ..storage.records import Source
from ..storage.tool_steps import ToolStep
from .question import Ask
from .reply_in_progress import ReplyInProgress
from .retrieval import NOTHING_FOUND, Lookup, Retrieval, with_sources
from .tool_loop import ToolLoop

log = logging.getLogger(__name__)
SAVE_S = 1.0                # the most text that a killed process loses, in seconds; saving is cheap


NO_LOOKUP = Lookup()


class ReplyWriter:
    """Safe to use from many threads."""

    def __init__(self, loop: ToolLoop, store: ChatStore) -> None:
        self._loop, self._store = loop, store
        self.retrieval: Retrieval | None = None         # set where there is a service for files

    def write(self, owner: str, reply: ReplyInProgress, messages: Sequence[Message], ask: Ask, stop: StopSignal,
              changed: Callable[[], None], lookup: Lookup = NO_LOOKUP) -> None:
        """Generate until the reply ends; an error belongs to the reply. `changed` is called after each event."""
        saved, begun = time.monotonic(), reply.snapshot().message
        try:
            if lookup and self.retrieval:
                reply.search()
                changed()
                sources = self._found(self.retrieval, owner, lookup, messages, ask, stop)
                if not sources and not stop.is_set():
                    reply.end_without_model(NOTHING_FOUND)
                    return
                reply.use_sources(sources)
                messages = with_sources(messages, sources)
            with closing(self._loop.stream(owner, begun, messages, ask, stop)) as events:
                for event in events:
                    reply.add(event)
                    changed()
                    is_due = isinstance(event, ToolStep) or time.monotonic() - saved >= SAVE_S
                    if is_due and not reply.snapshot().is_over:
                        self._save(reply)
                        saved = time.monotonic()
        except Exception as error:      # reported to the pages that follow, and stored in the database
            if not isinstance(error, EngineError):
                log.exception("A reply failed unexpectedly")
                error = GenerationFailed("something unexpected happened; the log of the server has the details.")
            reply.fail(error)
        finally:
            self._save(reply)

    def _found(self, retrieval: Retrieval, owner: str, lookup: Lookup, messages: Sequence[Message], ask: Ask,
               stop: StopSignal) -> tuple[Source, ...]:
        """The passages, searched for in a thread of its own: an embedding model may be loaded first, and a stop is not kept waiting."""
        def search() -> Iterator[tuple[Source, ...]]:
            yield retrieval.find(owner, lookup, messages, ask.options.max_new_tokens)

        with closing(in_thread(search, stop)) as found:
            return next((sources for sources in found if sources is not None), ())

    def _save(self, reply: ReplyInProgress) -> None:
        try:
            self._store.save_reply(reply.snapshot().message)
            reply.set_save_problem(None)
        except StorageError as error:       # the reply stays readable; the page reports that it is not saved
            log.error("%s", error)
            reply.set_save_problem(error)
