"""Measures how long listing, searching and opening chats takes in a database with many of them.

    python -m benchmarks.chats

A new database gets 5,000 chats with 100,000 messages of invented words. Each time is the slowest of ten.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.storage.chats import ChatStore
from engine.storage.database import Database
from engine.storage.records import ChatMessage

CHATS, MESSAGES = 5_000, 20
OWNER = "f" * 64
TARGET_S = 0.1


def fill(store: ChatStore, chats: int) -> None:
    chance = random.Random(1)
    vocabulary = ["".join(chance.choices("abcdefghijklmnoprstuvyz", k=chance.randint(2, 9))) for _ in range(5_000)]
    for i in range(chats):
        path = [ChatMessage("user" if j % 2 == 0 else "assistant", " ".join(chance.choices(vocabulary, k=60)) + f" unique{i}x{j} common")
                for j in range(MESSAGES)]
        store.copy(OWNER, " ".join(chance.choices(vocabulary, k=4)), path)


def slowest(run: Callable[[], object]) -> float:
    times = []
    for _ in range(10):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return max(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        few, many = (ChatStore(Database(Path(folder) / name)) for name in ("few", "many"))
        fill(few, 10)
        started = time.perf_counter()
        fill(many, CHATS)
        size = (Path(folder) / "many" / "mindcubes.db").stat().st_size
        print(f"{CHATS:,} chats, {CHATS * MESSAGES:,} messages: {size / 1e6:.0f} MB, written in {time.perf_counter() - started:.0f} s")
        chat_id = many.list(OWNER)[0].id
        rows = {"list, the first 100": lambda: many.list(OWNER, 101), "list, the last 100": lambda: many.list(OWNER, 101, CHATS - 100),
                "search, one message has it": lambda: many.search(OWNER, "unique2500x7"),
                "search, every message has it": lambda: many.search(OWNER, "common"),
                "search, nothing has it": lambda: many.search(OWNER, "qqqq wwww"),
                "search, the beginning of many words": lambda: many.search(OWNER, "a"),
                "open a chat": lambda: many.get(OWNER, chat_id)}
        for name, run in rows.items():
            print(f"{name}: {1000 * slowest(run):.1f} ms (target {1000 * TARGET_S:.0f})")
        print(f"list with 10 chats: {1000 * slowest(lambda: few.list(OWNER, 101)):.1f} ms")


if __name__ == "__main__":
    main()
