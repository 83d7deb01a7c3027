"""Admission to the loaded model: leases, exclusive use, one load or unload at a time; with a stand-in for the model."""

from __future__ import annotations

import threading
import time

import pytest

from engine.background import StopSignal
from engine.errors import EngineBusy, NoModelLoaded
from engine.hardware import Hardware, detect
from engine.models.spec import LoadOptions, ModelSpec
from engine.runtime.admission import Admission, Reservation

SPEC, OPTIONS = ModelSpec("builtin"), LoadOptions()
LONG_S = 30.0       # reached only if an event is missed


class Model:
    """Records the order in which it is stopped and released."""

    spec, options, held_bytes = SPEC, OPTIONS, 0

    def __init__(self) -> None:
        self.calls: list[str] = []

    def stop_lanes(self) -> None:
        self.calls.append("stop")

    def release(self) -> None:
        self.calls.append("release")


@pytest.fixture
def woken() -> list[ModelSpec]:
    return []


@pytest.fixture
def admission(woken: list[ModelSpec]) -> Admission:
    return Admission(lambda spec, options: woken.append(spec), max_leases=2)


@pytest.fixture(scope="module")
def hardware() -> Hardware:
    return detect("cpu")


def ready(admission: Admission) -> Model:
    model = Model()
    admission.begin("loading")
    admission.put(model)  # type: ignore[arg-type]
    admission.settle()
    return model


def test_without_a_model_there_is_no_lease(admission: Admission) -> None:
    with pytest.raises(NoModelLoaded):
        admission.lease()
    with pytest.raises(NoModelLoaded):
        admission.lease_soon()


def test_without_a_model_the_error_gives_the_reason_of_the_failed_load(admission: Admission) -> None:
    admission.begin("loading")
    admission.settle(RuntimeError("it does not fit"))
    with pytest.raises(NoModelLoaded, match="it does not fit"):
        admission.lease()


def test_a_lease_is_counted_until_its_block_ends(admission: Admission) -> None:
    model = ready(admission)
    with admission.lease() as used:
        assert used is model  # type: ignore[comparison-overlap]
        assert admission.num_leases == 1
    assert admission.num_leases == 0


def test_more_leases_than_allowed_are_refused(admission: Admission) -> None:
    ready(admission)
    with admission.lease(), admission.lease(), pytest.raises(EngineBusy, match="2 replies are in progress"):
        admission.lease()
    assert admission.num_leases == 0


def test_while_a_model_loads_messages_wait_and_other_uses_are_refused(admission: Admission) -> None:
    admission.begin("loading")
    assert admission.lease_soon() is None
    with pytest.raises(EngineBusy, match="loading"):
        admission.lease()


def test_an_unload_waits_for_leases_and_then_stops_and_releases(admission: Admission, hardware: Hardware) -> None:
    model = ready(admission)
    waiting: list[int] = []
    with admission.lease():
        admission.begin("unloading")
        unload = threading.Thread(target=admission.empty, args=(hardware, LONG_S, waiting.append))
        unload.start()
        while not waiting:
            time.sleep(0.001)
        assert model.calls == []
        assert admission.model is None
    unload.join(LONG_S)
    admission.settle()
    assert model.calls == ["stop", "release"]
    assert waiting[0] == 1
    assert admission.state == "empty"


def test_one_change_at_a_time(admission: Admission) -> None:
    admission.begin("loading")
    with pytest.raises(EngineBusy, match="a model is loading"):
        admission.begin("unloading")
    admission.settle()
    admission.begin("unloading")


def test_a_model_that_sleeps_is_woken_by_the_next_message(admission: Admission, hardware: Hardware, woken: list[ModelSpec]) -> None:
    ready(admission)
    assert admission.begin_sleep(0.0)
    admission.empty(hardware, 0.0)
    admission.settle()
    assert admission.state == "asleep"
    assert admission.lease_soon() is None
    assert woken == [SPEC]


def test_a_model_in_use_does_not_fall_asleep(admission: Admission) -> None:
    ready(admission)
    with admission.lease():
        assert not admission.begin_sleep(0.0)
    assert not admission.begin_sleep(LONG_S)


def test_exclusive_use_admits_its_holder_and_others_wait(admission: Admission) -> None:
    ready(admission)
    mine = Reservation("measuring")
    assert admission.reserve(mine)
    assert not admission.reserve(Reservation("another"))
    assert admission.lease_soon() is None
    with pytest.raises(EngineBusy, match="measuring"):
        admission.begin("unloading")
    lease = admission.lease_soon(mine)
    assert lease is not None
    admission.release(mine)
    assert admission.reserved_for == ""
    assert admission.lease_soon() is not None


def test_messages_are_refused_if_the_reservation_asks_for_it(admission: Admission) -> None:
    ready(admission)
    admission.reserve(Reservation("measuring", "refuse"))
    with pytest.raises(EngineBusy, match="measuring"):
        admission.lease_soon()


def test_a_wait_ends_with_a_change(admission: Admission) -> None:
    first, second, got = Reservation("one"), Reservation("two"), threading.Event()
    admission.reserve(first)

    def wait() -> None:
        admission.wait_until(lambda: admission.reserve(second), StopSignal())
        got.set()

    threading.Thread(target=wait, daemon=True).start()
    admission.release(first)
    assert got.wait(LONG_S)
    assert admission.reserved_for == "two"


def test_a_wait_ends_with_a_stop(admission: Admission) -> None:
    admission.reserve(Reservation("one"))
    stop, ended = StopSignal(), threading.Event()

    def wait() -> None:
        admission.wait_until(lambda: False, stop)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    stop.set()
    assert ended.wait(LONG_S)


def test_a_message_while_a_model_falls_asleep_waits_and_is_not_stopped_with_it(admission: Admission) -> None:
    ready(admission)
    assert admission.begin_sleep(0.0)
    assert admission.lease_soon() is None
    assert admission.num_leases == 0


def test_exclusive_use_refuses_the_loads_of_others(admission: Admission) -> None:
    mine = Reservation("measuring")
    admission.reserve(mine)
    admission.require(mine)
    for change in (lambda: admission.require(None), lambda: admission.begin("loading"), lambda: admission.begin("unloading")):
        with pytest.raises(EngineBusy, match="measuring"):
            change()
