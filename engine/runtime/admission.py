"""Admission to the loaded model: leases for its users, exclusive use for long work, one load or unload at a time.

A lease keeps the model in memory: an unload closes admission, waits for the leases (bounded), and then frees the model. The state
of the engine changes only here, under one condition that is notified of every change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from ..background import HEARTBEAT_S, StopSignal
from ..errors import EngineBusy, NoModelLoaded
from ..hardware import Hardware
from ..models.loader import collect
from ..models.spec import LoadOptions, ModelSpec, Released

if TYPE_CHECKING:
    from .serving_model import ServingModel

ANNOUNCE_S = 0.2        # interval at which an unload reports how many replies it waits for
LAST_STEP_S = 5.0       # longest time that stopped replies may take to end
State = Literal["empty", "loading", "ready", "unloading", "asleep"]       # asleep: unloaded until the next message
OthersMessages = Literal["wait", "refuse"]


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Exclusive use of the engine. `why`: its purpose, shown to waiting visitors. Compared by identity: it admits its holder.

    `messages`: whether other users' messages wait or are refused meanwhile. Their loads are always refused.
    """

    why: str
    messages: OthersMessages = "wait"

    def refusal(self) -> EngineBusy:
        return EngineBusy(self.why, "Try again when it is over.")


@dataclass(slots=True, eq=False)
class _Stay:
    """One model in memory and the number of its users."""

    model: ServingModel
    leases: int = 0
    is_leaving: bool = False
    last_used: float = field(default_factory=time.monotonic)


class Lease:
    """The right to use the loaded model until the `with` block ends."""

    def __init__(self, admission: Admission, stay: _Stay) -> None:
        self._admission, self._stay = admission, stay

    def __enter__(self) -> ServingModel:
        return self._stay.model

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._admission._end(self._stay)


class Admission:
    """Holds the only strong reference to the loaded model.

    `max_leases`: None for no limit. `wake`: loads a model again that was unloaded because it was idle.
    """

    def __init__(self, wake: Callable[[ModelSpec, LoadOptions], None], max_leases: int | None = None) -> None:
        self.changed = threading.Condition()
        self.state: State = "empty"
        self.error = ""
        self.asleep: tuple[ModelSpec, LoadOptions] | None = None
        self._asleep_bytes = 0
        self._wake, self._max_leases = wake, max_leases
        self._stay: _Stay | None = None
        self._reservation: Reservation | None = None

    @property
    def model(self) -> ServingModel | None:
        """The loaded model, for reading its properties only; using it needs a lease."""
        stay = self._stay
        return stay.model if stay else None

    @property
    def num_leases(self) -> int:
        stay = self._stay
        return stay.leases if stay else 0

    @property
    def asleep_bytes(self) -> int:
        """Bytes that the model which the next message loads again used, and will use."""
        return self._asleep_bytes if self.state == "asleep" else 0

    # --- leases ---

    def lease(self) -> Lease:
        """Return a lease. Raises NoModelLoaded, and EngineBusy while a model is loading or if max_leases is reached."""
        lease = self._take()
        if lease is None:
            raise EngineBusy("a model is loading")
        return lease

    def lease_soon(self, reservation: Reservation | None = None) -> Lease | None:
        """Return a lease, or None after at most HEARTBEAT_S while a model is loading or reserved by others; then call it again.

        Raises NoModelLoaded, and EngineBusy if waiting would not help.
        """
        with self.changed:
            if self._must_wait(reservation):
                self.changed.wait(HEARTBEAT_S)
                if self._must_wait(reservation):
                    return None
            lease = self._take()
            if lease is None:
                self.changed.wait(HEARTBEAT_S)
            return lease

    def _take(self) -> Lease | None:
        with self.changed:
            stay = self._stay
            if stay is not None and not stay.is_leaving:
                if self._max_leases is not None and stay.leases >= self._max_leases:
                    raise EngineBusy(f"{stay.leases} replies are in progress", "Try again in a minute.")
                stay.leases += 1
                return Lease(self, stay)
            if self.asleep is None and self.state != "loading":
                raise NoModelLoaded(self.error)
            asleep = self.asleep if self.state == "asleep" else None
        if asleep is not None:
            self._wake(*asleep)
        return None

    def _end(self, stay: _Stay) -> None:
        with self.changed:
            stay.leases -= 1
            stay.last_used = time.monotonic()
            self.changed.notify_all()

    # --- exclusive use ---

    @property
    def reserved_for(self) -> str:
        """The purpose of the exclusive use now; empty if there is none."""
        reservation = self._reservation
        return reservation.why if reservation else ""

    def reserve(self, reservation: Reservation) -> bool:
        """Start exclusive use; False if there is another reservation."""
        with self.changed:
            self._reservation = self._reservation or reservation
            return self._reservation is reservation

    def release(self, reservation: Reservation) -> None:
        with self.changed:
            if self._reservation is reservation:
                self._reservation = None
                self.changed.notify_all()

    def wait_until(self, holds: Callable[[], bool], stop: StopSignal) -> None:
        """Block until `holds()` is true, checked after every change, or until `stop` is set."""
        def wake() -> None:
            with self.changed:
                self.changed.notify_all()

        stop.subscribe(wake)
        try:
            with self.changed:
                self.changed.wait_for(lambda: holds() or stop.is_set())
        finally:
            stop.unsubscribe(wake)

    def _must_wait(self, reservation: Reservation | None) -> bool:
        held = self._reservation
        if held is None or held is reservation:
            return False
        if held.messages == "refuse":
            raise held.refusal()
        return True

    # --- loads and unloads ---

    @property
    def is_settled(self) -> bool:
        return self.state not in ("loading", "unloading")

    def require(self, reservation: Reservation | None) -> None:
        """Raises EngineBusy while another user has exclusive use."""
        held = self._reservation
        if held is not None and held is not reservation:
            raise held.refusal()

    def begin(self, state: Literal["loading", "unloading"], reservation: Reservation | None = None) -> None:
        """Begin a load or unload; `settle` ends it. Raises EngineBusy during another one or others' exclusive use."""
        with self.changed:
            self.require(reservation)
            if not self.is_settled:
                raise EngineBusy(f"a model is {self.state}")
            self.state, self.asleep = state, None
            self.error = "" if state == "loading" else self.error

    def begin_sleep(self, idle_s: float) -> bool:
        """Like `begin("unloading")`, if the model has been idle for idle_s; the next message loads it again."""
        with self.changed:
            stay = self._stay
            if self.state != "ready" or stay is None or stay.leases or time.monotonic() - stay.last_used < idle_s:
                return False
            stay.is_leaving = True      # a message that arrives now waits and wakes the model, instead of being stopped with it
            self.state, self.asleep = "unloading", (stay.model.spec, stay.model.options)
            self._asleep_bytes = stay.model.held_bytes
            return True

    def settle(self, error: BaseException | None = None) -> None:
        """End the load or unload that `begin` began. `error`: why it failed."""
        with self.changed:
            self.state = "ready" if self._stay else "asleep" if self.asleep else "empty"
            self.error = str(error) if error else ""
            self.changed.notify_all()

    def put(self, model: ServingModel) -> None:
        with self.changed:
            self._stay = _Stay(model)
            self.changed.notify_all()

    def empty(self, hardware: Hardware, drain_timeout_s: float, announce: Callable[[int], None] = lambda replies: None) -> Released:
        """Wait for leases (bounded), free the model, measure the freed memory. `announce` gets the number of leases left."""
        started = time.monotonic()
        with self.changed:
            stay, self._stay = self._stay, None
        if stay is None:
            return Released(0, 0, 0.0)
        before, expected = hardware.used_bytes(), stay.model.held_bytes
        self._close(stay, drain_timeout_s, announce)
        del stay
        collect()
        return Released(expected, before - hardware.used_bytes(), time.monotonic() - started)

    def discard(self) -> None:
        """Stop everything without waiting for replies, at the end of the process."""
        with self.changed:
            stay, self._stay = self._stay, None
        if stay is not None:
            self._close(stay, 0.0)

    def _close(self, stay: _Stay, drain_timeout_s: float, announce: Callable[[int], None] = lambda replies: None) -> None:
        """Wait for running replies until the time-out, then stop the rest."""
        deadline = time.monotonic() + drain_timeout_s
        with self.changed:
            stay.is_leaving = True
        while stay.leases and (left := deadline - time.monotonic()) > 0:
            announce(stay.leases)
            with self.changed:
                self.changed.wait_for(lambda: stay.leases == 0, timeout=min(ANNOUNCE_S, left))
        stay.model.stop_lanes()
        with self.changed:          # stopped replies end within a step
            self.changed.wait_for(lambda: stay.leases == 0, timeout=max(LAST_STEP_S, deadline - time.monotonic()))
        stay.model.release()
