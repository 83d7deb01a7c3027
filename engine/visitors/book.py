"""What each visitor uses now, and has used today. Counts only: no message is here."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..errors import EngineBusy, InvalidRequest, NoModelLoaded, StorageError, TooManyMessages, TooManyReplies, TooManyTokens
from ..limits import Limits
from ..storage.database import Database
from ..storage.visitor_use import VisitorUseStore

log = logging.getLogger(__name__)
MINUTE_S, DAY_S = 60.0, 86_400.0
MAX_VISITORS = 10_000       # remembered; those who used nothing for longest are forgotten first


@dataclass(frozen=True, slots=True)
class VisitorUse:
    """`name`: of an account, or "". `visitor`: the owner's hash, of which a person sees the beginning. Counts are of today."""

    visitor: str
    name: str
    running: int
    messages: int
    tokens: int


@dataclass(slots=True)
class _Page:
    """One visitor. `sent`: when the messages of the last minute were sent."""

    day: str = ""
    name: str = ""
    running: int = 0
    messages: int = 0
    tokens: int = 0
    sent: deque[float] = field(default_factory=deque)


class VisitorBook:
    """Safe to use from many threads. The visitor "" is the program itself, which has no limits.

    `clock`: seconds since the epoch.
    """

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = VisitorUseStore(database), clock
        self._given = limits
        self._changed: Limits | None = None     # read from the database when first needed
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._is_draining = False

    # --- limits ---

    @property
    def limits(self) -> Limits:
        """Those that the operator set on the page, else those of the settings."""
        if self._changed is None:
            try:
                self._changed = Limits(**{**{name: getattr(self._given, name) for name in Limits.__slots__}, **self._store.limits()})
            except (StorageError, InvalidRequest, TypeError) as error:
                log.error("%s", error)
                return self._given
        return self._changed

    def set_limits(self, limits: Limits) -> None:
        """For now and for later starts. Raises StorageError."""
        self._store.set_limits({name: getattr(limits, name) for name in Limits.__slots__})
        self._changed = limits

    @property
    def is_draining(self) -> bool:
        return self._is_draining

    def drain(self, is_draining: bool) -> None:
        """While it is on, replies in progress go on and no new one begins."""
        self._is_draining = is_draining

    # --- replies ---

    def check(self, visitor: str, count: int = 1, chars: int = 0) -> None:
        """Refuse so many replies to a message of so many characters, if they are over a limit, before anything is stored.

        Raises EngineBusy (TooManyMessages, TooManyReplies, TooManyTokens), and InvalidRequest for the message.
        """
        with self._lock:
            self._check(visitor, count, chars)

    @contextmanager
    def reply(self, visitor: str, chars: int = 0) -> Iterator[Callable[[int, int], None]]:
        """Count one reply while the block runs. Call what it returns with the tokens so far: of the prompt, and new ones.

        A reply that is refused before it began does not count. Raises what `check` raises.
        """
        with self._lock:
            self._check(visitor, 1, chars)
            page = self._page(visitor)
            page.running += 1
            page.messages += 1
            page.sent.append(self._clock())
        used = 0

        def count(prompt_tokens: int, new_tokens: int) -> None:
            nonlocal used
            used = prompt_tokens + new_tokens

        try:
            yield count
        except (EngineBusy, NoModelLoaded):
            with self._lock:
                if not used:
                    page.messages -= 1
                    page.sent.pop()
            raise
        finally:
            with self._lock:
                page.running -= 1
                page.tokens += used
                row = (visitor, page.day, page.name, page.messages, page.tokens)
            self._save(row)

    def know(self, visitor: str, name: str) -> None:
        """Remember the name of a visitor's account, for the operator."""
        known = self._pages.get(visitor)
        if name and (known is None or known.name != name):
            with self._lock:
                self._page(visitor).name = name

    def today(self) -> tuple[VisitorUse, ...]:
        """Everybody who used something today, those who used most first. Raises StorageError."""
        day = self._day()
        stored = {row[0]: VisitorUse(row[0], row[1], 0, row[2], row[3]) for row in self._store.of_day(day)}
        with self._lock:
            live = {visitor: VisitorUse(visitor, page.name, page.running, page.messages, page.tokens)
                    for visitor, page in self._pages.items() if page.day == day and visitor and page.messages}
        return tuple(sorted((stored | live).values(), key=lambda use: (-use.running, -use.tokens, -use.messages)))

    def _check(self, visitor: str, count: int, chars: int) -> None:
        if self._is_draining:
            raise EngineBusy("it takes no new messages, because it is being prepared for maintenance", "Try again in a few minutes.")
        if not visitor:
            return
        limits, page, now = self.limits, self._page(visitor), self._clock()
        if limits.message_chars and chars > limits.message_chars:
            raise InvalidRequest("the message", f"{chars:,} characters long", f"at most {limits.message_chars:,} characters here")
        if limits.replies_at_once and page.running + count > limits.replies_at_once:
            raise TooManyReplies(limits.replies_at_once)
        while page.sent and now - page.sent[0] >= MINUTE_S:
            page.sent.popleft()
        if limits.messages_per_minute and len(page.sent) + count > limits.messages_per_minute:
            oldest = page.sent[0] if page.sent else now
            raise TooManyMessages(limits.messages_per_minute, max(1.0, MINUTE_S - (now - oldest)))
        if limits.tokens_per_day and page.tokens >= limits.tokens_per_day:
            raise TooManyTokens(limits.tokens_per_day, DAY_S - now % DAY_S)

    def _page(self, visitor: str) -> _Page:
        page, day = self._pages.get(visitor), self._day()
        if page is None:
            page = self._pages[visitor] = _Page()
            while len(self._pages) > MAX_VISITORS:
                oldest = next((known for known, other in self._pages.items() if not other.running and known != visitor), None)
                if oldest is None:
                    break
                del self._pages[oldest]
        if page.day != day:
            page.day, page.messages, page.tokens = day, *self._stored(visitor, day)
        self._pages.move_to_end(visitor)
        return page

    def _stored(self, visitor: str, day: str) -> tuple[int, int]:
        try:
            return self._store.of(visitor, day) if visitor else (0, 0)
        except StorageError as error:
            log.error("%s", error)
            return 0, 0

    def _save(self, row: tuple[str, str, str, int, int]) -> None:
        if not row[0]:
            return
        try:
            self._store.save(*row)
        except StorageError as error:       # a full disk must not fail a reply
            log.error("%s", error)

    def _day(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).date().isoformat()
