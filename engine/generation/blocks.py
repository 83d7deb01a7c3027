"""Which blocks of the paged KV cache belong to which reply. Counts blocks only; the tensors are in paged_cache.py.

A block holds the keys and values of BLOCK_TOKENS tokens in all layers. Full blocks are shared: a reply that begins with the same
tokens as an earlier one refers to its blocks instead of computing them again. A block without a reply keeps its contents until it is
needed; then the one unused for longest goes first. Blocks of one reply follow each other in memory where possible, because attention
reads consecutive blocks without copying them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

BLOCK_TOKENS = 16       # prefixes are shared by whole blocks: small ones keep the time to first token flat as a chat grows

Key = tuple[Hashable, tuple[int, ...]]      # what precedes the block (the number of its prefix, or a root), and its own token ids


@dataclass(slots=True)
class BlockTable:
    """The blocks of one reply, in order. `root`: replies share blocks only if it is equal (the adapter, the rotary table).

    `prefixes`: for each full block that was registered, the number of the prefix that ends with it.
    """

    root: Any = ""
    blocks: list[int] = field(default_factory=list)
    prefixes: list[int] = field(default_factory=list)
    is_run: bool = True     # the blocks follow each other in memory

    def append(self, block: int) -> None:
        self.is_run = not self.blocks or (self.is_run and block == self.blocks[-1] + 1)
        self.blocks.append(block)

    @property
    def capacity(self) -> int:
        """Tokens that the blocks hold."""
        return len(self.blocks) * BLOCK_TOKENS


class BlockPool:
    """All blocks. Not safe for several threads: only the generation thread uses it."""

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self._users = [0] * num_blocks
        self._empty = set(range(num_blocks))                    # neither used nor remembered
        self._unused: OrderedDict[int, None] = OrderedDict()    # remembered, without a reply; oldest first
        self._known: dict[Key, tuple[int, int]] = {}            # prefix -> (block, number of the prefix)
        self._keys: dict[int, Key] = {}                         # block -> its entry in _known
        self._next_prefix = 0

    @property
    def num_free(self) -> int:
        """Blocks that a reply could get now."""
        return len(self._empty) + len(self._unused)

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
            self._use(block)
            table.append(block)
            table.prefixes.append(found[1])
        return table.capacity

    def extend(self, table: BlockTable, tokens: int) -> bool:
        """Add blocks until `table` holds so many tokens. False, and nothing changes, if there are too few."""
        missing = self.num_missing(table, tokens)
        if missing > self.num_free:
            return False
        while len(self._empty) < missing:
            self._forget(next(iter(self._unused)))
        for left in range(missing, 0, -1):
            following = table.blocks[-1] + 1 if table.blocks else -1
            block = following if following in self._empty else self._place_for(left)
            self._empty.remove(block)
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
                if block in self._keys:
                    self._unused[block] = None
                else:
                    self._empty.add(block)
        del table.blocks[keep:], table.prefixes[keep:]
        table.is_run = all(after == before + 1 for before, after in pairwise(table.blocks))

    def _use(self, block: int) -> None:
        self._users[block] += 1
        self._unused.pop(block, None)

    def _forget(self, block: int) -> None:
        del self._unused[block]
        del self._known[self._keys.pop(block)]
        self._empty.add(block)

    def _place_for(self, count: int) -> int:
        """Where to begin `count` blocks: in the middle of the longest run of empty blocks, so that the reply before it can grow too."""
        begin, length, run = 0, 0, 0
        for block in range(self.num_blocks):
            run = run + 1 if block in self._empty else 0
            if run > length:
                begin, length = block - run + 1, run
        middle = length // 2 if begin else 0
        return begin + max(0, min(middle, length - count))
