"""A busy machine for speed.py: programs that do nothing but count, and lanes that cannot choose their number of threads."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Other programs that keep a core busy each, until the block ends."""
    processes = [multiprocessing.get_context("spawn").Process(target=_count, args=(os.getpid(),), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def _count(parent: int) -> None:
    """Until the parent has ended."""
    while os.getppid() == parent:
        sum(range(1_000_000))


@dataclass(frozen=True, slots=True)
class FixedThreads:
    """In place of engine.generation.threads.ThreadChoice."""

    count: int

    def begin(self, tokens: int) -> int:
        return self.count

    def end(self, tokens: int, seconds: float) -> None:
        return


def fix_threads(count: int) -> None:
    """Every lane that is opened in this process from now on computes each step with so many threads."""
    from engine.generation import batched

    assert hasattr(batched, "ThreadChoice")
    batched.ThreadChoice = lambda most: FixedThreads(count)
