"""States of layers without keys, kept at the ends of blocks, so that a later reply with the same beginning goes on from there."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from .blocks import BLOCK_TOKENS, BlockTable

if TYPE_CHECKING:
    from ..compat.kv_cache import State
    from .sequence import Sequence

States = list["State | None"]


class Snapshots:
    """The latest `limit` states, by the number of the prefix after which they were taken; the one unused for longest goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[int, States] = OrderedDict()

    def note(self, sequence: Sequence) -> None:
        """Keep the states if they are those at the end of a block. Of the generated part of a reply, only the latest are kept."""
        if sequence.states is None or sequence.num_computed % BLOCK_TOKENS or not sequence.table.prefixes:
            return
        if sequence.num_computed > sequence.num_prompt:
            self._kept.pop(sequence.latest_snapshot, None)
            sequence.latest_snapshot = sequence.table.prefixes[-1]
        elif sequence.num_computed < (sequence.num_prompt - 1) // BLOCK_TOKENS * BLOCK_TOKENS:
            return      # in the middle of the prompt
        self._kept[sequence.table.prefixes[-1]] = sequence.states
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def find(self, table: BlockTable) -> tuple[int, States | None]:
        """The longest known prefix of the table with kept states: its tokens, and the states."""
        for number in range(len(table.prefixes), 0, -1):
            states = self._kept.get(table.prefixes[number - 1])
            if states is not None:
                self._kept.move_to_end(table.prefixes[number - 1])
                return number * BLOCK_TOKENS, states
        return 0, None
