import time
from itertools import pairwise

from ui.shared.pace import UPDATE_S, Pace


def test_updates_are_at_least_their_shortest_interval_apart() -> None:
    pace, updates, until = Pace(), [], time.monotonic() + 0.3
    while time.monotonic() < until:
        if pace.is_due():
            pace.began()
            updates.append(time.monotonic())
            pace.ended(0)
    assert len(updates) <= 7
    assert all(later - earlier >= UPDATE_S * 0.99 for earlier, later in pairwise(updates))
