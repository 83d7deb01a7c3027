"""Which blocks of the paged KV cache belong to which reply. Counts blocks only; the tensors are in paged_cache.py.

A block holds the keys and values of BLOCK_TOKENS tokens in all layers. Full blocks are shared: a reply that begins with the same
tokens as an earlier one refers to its blocks instead of computing them again. A block without a reply keeps its contents until it is
needed; those unused for longest go first. Blocks of one reply follow each other in memory where possible, because attention reads
consecutive blocks without copying them: a reply gets a run of blocks, and room behind it to grow into.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

BLOCK_TOKENS = 16       # prefixes are shared by whole blocks: small ones keep the time to first token flat as a chat grows
GROWTH = 16             # blocks: room that a reply gets behind its prompt where there is some

Key = tuple[Hashable, tuple[int, ...]]      # what precedes the block (the number of its prefix, or a root), and its own token ids


@dataclass(slots=True)
class BlockTable:
    """The blocks of one reply, in order. `root`: replies share blocks only if it is equal (the adapter, the rotary table).

    `prefixes`: for each full block that was registered, the number of the prefix that ends with it. `runs`: how many blocks follow each
    other in memory, from the first on. `since`: a block that was released later is not taken only because it follows.
    """

    root: Any = ""
    blocks: list[int] = field(default_factory=list)
    prefixes: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    since: int = -1

    def append(self, block: int) -> None:
        if self.blocks and block == self.blocks[-1] + 1:
            self.runs[-1] += 1
        else:
            self.runs.append(1)
        self.blocks.append(block)

    def cut(self, keep: int) -> None:
        """Leave the first `keep` blocks."""
        blocks = self.blocks[:keep]
        self.blocks, self.runs = [], []
        del self.prefixes[keep:]
        for block in blocks:
            self.append(block)

    @property
    def capacity(self) -> int:
        """Tokens that the blocks hold."""
        return len(self.blocks) * BLOCK_TOKENS


class BlockPool:
    """All blocks. Not safe for several threads: only the generation thread uses it."""

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self._users = [0] * num_blocks
        self._released: dict[int, int] = dict.fromkeys(range(num_blocks), -1)     # blocks without a reply, and when: -1 if empty
        self._time = 0              # counts releases
        self._known: dict[Key, tuple[int, int]] = {}            # prefix -> (block, number of the prefix)
        self._keys: dict[int, Key] = {}                         # block -> its entry in _known
        self._next_prefix = 0

    @property
    def num_free(self) -> int:
        """Blocks that a reply could get now."""
        return len(self._released)

    def num_missing(self, table: BlockTable, tokens: int) -> int:
        """Blocks that `table` lacks for so many tokens."""
        return max(0, -(-tokens // BLOCK_TOKENS) - len(table.blocks))

    def share(self, table: BlockTable, ids: list[int]) -> int:
        """Give an empty table the known blocks of the longest prefix of `ids`; returns the number of tokens in them."""
        before: Hashable = table.root
        for begin in range(0, len(ids) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
            found = self._known.get((before, tuple(ids[begin: begin + BLOCK_TOKENS])))
            if found is None:
                break
            block, before = found
            self._users[block] += 1
            self._released.pop(block, None)
            table.append(block)
            table.prefixes.append(found[1])
        return table.capacity

    def extend(self, table: BlockTable, tokens: int) -> bool:
        """Add blocks until `table` holds so many tokens. False, and nothing changes, if there are too few."""
        missing = self.num_missing(table, tokens)
        if missing > self.num_free:
            return False
        for left in range(missing, 0, -1):
            block = table.blocks[-1] + 1 if table.blocks else -1
            if self._released.get(block, self._time) > table.since:        # in use, or of a later reply
                block = self._place_for(left)
                table.since = self._time - 1
            del self._released[block]
            if block in self._keys:
                del self._known[self._keys.pop(block)]
            self._users[block] = 1
            table.append(block)
        return True

    def register(self, table: BlockTable, ids: list[int], computed: int) -> None:
        """Remember the full blocks among the first `computed` tokens, so that later replies can share them."""
        while (len(table.prefixes) + 1) * BLOCK_TOKENS <= computed:
            at = len(table.prefixes)
            key: Key = (table.prefixes[-1] if at else table.root, tuple(ids[at * BLOCK_TOKENS: (at + 1) * BLOCK_TOKENS]))
            known = self._known.get(key)
            if known is None:       # otherwise another reply has computed the same; its block stays the one to share
                known = self._known[key] = (table.blocks[at], self._next_prefix)
                self._keys[table.blocks[at]] = key
                self._next_prefix += 1
            table.prefixes.append(known[1])

    def release(self, table: BlockTable) -> None:
        """Take all blocks from the table. Their contents stay known until the blocks are needed."""
        self.shorten(table, 0)

    def shorten(self, table: BlockTable, tokens: int) -> None:
        """Take the blocks after those of the first `tokens`, which end with a block."""
        keep = tokens // BLOCK_TOKENS
        for block in reversed(table.blocks[keep:]):     # the end of a reply is forgotten before its beginning, which others may share
            self._users[block] -= 1
            if self._users[block] == 0:
                self._released[block] = self._time if block in self._keys else -1
                self._time += 1
        table.cut(keep)

    def _place_for(self, count: int) -> int:
        """Where to begin `count` blocks.

        In the middle of the longest run of empty blocks, so that the reply before it can grow too; if none is long enough, where the
        blocks have been unused for longest.
        """
        begin, length, run = 0, 0, 0
        for block in range(self.num_blocks):
            run = run + 1 if self._released.get(block) == -1 else 0
            if run > length:
                begin, length = block - run + 1, run
        if length >= count:
            middle = length // 2 if begin else 0
            return begin + max(0, min(middle, length - count))
        size, found = count + GROWTH, None
        while found is None:
            found = self._oldest_run(size)
            size = count if size > count else size // 2
        return found

    def _oldest_run(self, size: int) -> int | None:
        """The beginning of so many blocks without a reply, the latest released of which was released first."""
        best, oldest = None, self._time
        latest: deque[tuple[int, int]] = deque()        # (when released, block), falling: the first is the latest of the run
        begin = 0
        for block in range(self.num_blocks):
            when = self._released.get(block)
            if when is None:
                latest.clear()
                begin = block + 1
                continue
            while latest and latest[-1][0] <= when:
                latest.pop()
            latest.append((when, block))
            if block - begin + 1 > size:
                begin += 1
                if latest[0][1] < begin:
                    latest.popleft()
            if block - begin + 1 == size and latest[0][0] < oldest:
                best, oldest = begin, latest[0][0]
        return best
