"""Background tasks: every change, end and stop wakes the waiting threads, and no error is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from engine.background import BackgroundTask, StopSignal, TaskRegistry, follow, in_thread

LONG_S = 30.0       # a wait that only a missed event would reach


class Counter:
    """Work that counts one step each time the test allows it, and ends when it is asked to stop."""

    def __init__(self) -> None:
        self.count = 0
        self.may_count = threading.Semaphore(0)
        self.task: BackgroundTask[int] = BackgroundTask(self._work, lambda: self.count)
        self.task.stop.subscribe(self.may_count.release)

    def _work(self) -> None:
        while True:
            self.may_count.acquire()
            if self.task.stop.is_set():
                return
            self.count += 1
            self.task.changed()


@pytest.fixture
def counter() -> Iterator[Counter]:
    counter = Counter()
    yield counter
    counter.task.stop.set()


def test_a_subscriber_is_called_once_also_if_the_stop_came_before() -> None:
    heard: list[str] = []
    stop = StopSignal()
    stop.subscribe(lambda: heard.append("before"))
    stop.set()
    stop.set()
    stop.subscribe(lambda: heard.append("after"))
    assert heard == ["before", "after"]


def test_an_unsubscribed_callback_is_not_called() -> None:
    heard: list[str] = []
    stop = StopSignal()

    def hear() -> None:
        heard.append("stop")

    stop.subscribe(hear)
    stop.unsubscribe(hear)
    stop.set()
    assert heard == []


def test_a_follower_is_woken_by_a_change_and_by_the_end(counter: Counter) -> None:
    counter.task.start()
    snapshots = counter.task.follow(heartbeat_s=LONG_S)
    assert next(snapshots) == 0
    counter.may_count.release()
    assert next(snapshots) == 1
    counter.task.stop.set()
    assert list(snapshots)[-1] == 1
    assert counter.task.is_over


def test_heartbeats_are_sent_during_silence(counter: Counter) -> None:
    counter.task.start()
    snapshots = counter.task.follow(heartbeat_s=0.01)
    assert [next(snapshots) for _ in range(3)] == [0, 0, 0]


def test_changes_closer_than_the_interval_share_a_snapshot() -> None:
    values = [0]

    def work() -> None:
        for _ in range(1000):
            values[0] += 1
            task.changed()

    task = BackgroundTask(work, lambda: values[0])
    snapshots = task.follow(heartbeat_s=LONG_S, min_interval_s=LONG_S)
    assert next(snapshots) == 0
    task.start()
    assert list(snapshots) == [1000]


def test_a_follower_that_leaves_does_not_stop_the_task(counter: Counter) -> None:
    counter.task.start()
    snapshots = counter.task.follow()
    next(snapshots)
    snapshots.close()
    assert not counter.task.is_over
    assert not counter.task.stop.is_set()


def test_several_tasks_are_followed_until_the_last_is_over() -> None:
    first, second = Counter(), Counter()
    for each in (first, second):
        each.task.start()
    snapshots = follow([first.task, second.task], heartbeat_s=LONG_S)
    assert next(snapshots) == (0, 0)
    first.task.stop.set()
    second.may_count.release()
    second.task.wait(0)
    while next(snapshots) != (0, 1):
        pass
    second.task.stop.set()
    assert list(snapshots)[-1] == (0, 1)


def test_an_unexpected_error_is_kept_and_ends_the_task() -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    task = BackgroundTask(fail, lambda: None)
    task.start()
    assert task.wait(LONG_S)
    assert str(task.error) == "boom"


def test_a_key_has_one_group_at_a_time(counter: Counter) -> None:
    registry: TaskRegistry[str, int] = TaskRegistry()
    assert registry.reserve("chat")
    assert not registry.reserve("chat")
    registry.start("chat", counter.task)
    assert "chat" in registry
    with pytest.raises(ValueError, match="at work"):
        registry.start("chat", Counter().task)
    counter.task.stop.set()
    assert counter.task.wait(LONG_S)
    assert "chat" not in registry


def test_a_reserved_key_can_be_released() -> None:
    registry: TaskRegistry[str, int] = TaskRegistry()
    registry.reserve("chat")
    registry.release("chat")
    assert registry.reserve("chat")


def test_the_key_is_free_when_the_end_of_the_group_is_announced() -> None:
    registry: TaskRegistry[str, int] = TaskRegistry()
    first, second = Counter(), Counter()
    seen: list[bool] = []
    registry.start("chat", first.task, second.task, on_end=lambda task: seen.append("chat" in registry or task is not second.task))
    first.task.stop.set()
    first.task.wait(LONG_S)
    assert seen == []
    assert "chat" in registry
    second.task.stop.set()
    second.task.wait(LONG_S)
    assert seen == [False]


def test_a_failed_task_frees_its_key_too() -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    registry: TaskRegistry[str, None] = TaskRegistry()
    task = BackgroundTask(fail, lambda: None)
    registry.start("chat", task)
    task.wait(LONG_S)
    assert "chat" not in registry


def test_closing_stops_every_task_and_waits(counter: Counter) -> None:
    registry: TaskRegistry[str, int] = TaskRegistry()
    registry.start("chat", counter.task)
    registry.close(LONG_S)
    assert counter.task.is_over


def test_an_iterator_is_read_in_another_thread() -> None:
    threads: list[threading.Thread] = []

    def source() -> Iterator[int]:
        threads.append(threading.current_thread())
        yield from range(3)

    assert list(in_thread(source, StopSignal(), heartbeat_s=LONG_S)) == [0, 1, 2]
    assert threads != [threading.current_thread()]


def test_an_error_of_the_source_reaches_the_reader() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        list(in_thread(source, StopSignal()))


def silent(until: threading.Event) -> Callable[[], Iterator[int]]:
    def source() -> Iterator[int]:
        until.wait(LONG_S)
        yield 1

    return source


def test_a_silent_source_yields_heartbeats() -> None:
    until = threading.Event()
    elements = in_thread(silent(until), StopSignal(), heartbeat_s=0.01)
    assert [next(elements) for _ in range(3)] == [None, None, None]
    until.set()
    assert [element for element in elements if element is not None] == [1]


def test_a_stop_ends_reading_at_once() -> None:
    until, stop = threading.Event(), StopSignal()
    started = time.monotonic()
    elements = in_thread(silent(until), stop, heartbeat_s=LONG_S)
    threading.Timer(0.05, stop.set).start()
    assert list(elements) == []
    assert time.monotonic() - started < LONG_S / 2
    until.set()


def test_a_reader_that_leaves_closes_the_source() -> None:
    closed, go_on = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        try:
            yield 1
            go_on.wait(LONG_S)
            yield 2
        finally:
            closed.set()

    elements = in_thread(source, StopSignal())
    assert next(elements) == 1
    go_on.set()
    elements.close()
    assert closed.wait(LONG_S)
