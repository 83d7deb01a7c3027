"""Blocks are counted, shared by their tokens, and forgotten oldest first."""

import random

from engine.generation.blocks import BLOCK_TOKENS, GROWTH, BlockPool, BlockTable

IDS = list(range(10 * BLOCK_TOKENS))


def filled(pool: BlockPool, ids: list[int], root: str = "") -> BlockTable:
    table = BlockTable(root)
    pool.share(table, ids)
    assert pool.extend(table, len(ids))
    pool.register(table, ids, len(ids))
    return table


def test_a_reply_shares_the_blocks_of_a_running_one_with_the_same_beginning() -> None:
    pool = BlockPool(10)
    first = filled(pool, IDS[: 4 * BLOCK_TOKENS])
    second = BlockTable()
    assert pool.share(second, [*IDS[: 3 * BLOCK_TOKENS], 7, 7, 7]) == 3 * BLOCK_TOKENS
    assert second.blocks == first.blocks[:3]
    assert pool.num_free == 6


def test_a_released_prefix_is_found_again() -> None:
    pool = BlockPool(10)
    blocks = list((table := filled(pool, IDS[: 2 * BLOCK_TOKENS])).blocks)
    pool.release(table)
    assert pool.num_free == 10
    again = BlockTable()
    assert pool.share(again, IDS[: 2 * BLOCK_TOKENS]) == 2 * BLOCK_TOKENS
    assert again.blocks == blocks


def test_the_same_tokens_after_another_beginning_are_not_shared() -> None:
    pool = BlockPool(10)
    filled(pool, IDS[: 2 * BLOCK_TOKENS])
    assert pool.share(BlockTable(), [*IDS[1: BLOCK_TOKENS + 1], *IDS[BLOCK_TOKENS: 2 * BLOCK_TOKENS]]) == 0


def test_replies_with_different_roots_share_nothing() -> None:
    pool = BlockPool(10)
    filled(pool, IDS[: 2 * BLOCK_TOKENS], root="")
    assert pool.share(BlockTable("adapter"), IDS[: 2 * BLOCK_TOKENS]) == 0


def test_the_prefix_unused_for_longest_is_forgotten_first_and_its_end_before_its_beginning() -> None:
    pool = BlockPool(4)
    old, new = IDS[: 2 * BLOCK_TOKENS], [5, *IDS[: 2 * BLOCK_TOKENS - 1]]
    pool.release(filled(pool, old))
    pool.release(filled(pool, new))
    assert pool.extend(BlockTable(), BLOCK_TOKENS)
    assert pool.share(BlockTable(), new) == 2 * BLOCK_TOKENS
    assert pool.share(BlockTable(), old) == BLOCK_TOKENS


def test_too_few_free_blocks_change_nothing() -> None:
    pool = BlockPool(3)
    first = filled(pool, IDS[: 2 * BLOCK_TOKENS])
    table = BlockTable()
    assert not pool.extend(table, 2 * BLOCK_TOKENS)
    assert table.blocks == []
    assert pool.num_free == 1
    assert len(first.blocks) == 2


def test_two_replies_that_grow_in_turns_stay_in_consecutive_blocks() -> None:
    pool, first, second = BlockPool(64), BlockTable(), BlockTable()
    for tokens in range(BLOCK_TOKENS, 20 * BLOCK_TOKENS, BLOCK_TOKENS):
        assert pool.extend(first, tokens)
        assert pool.extend(second, tokens)
    assert len(first.runs) == len(second.runs) == 1
    assert not set(first.blocks) & set(second.blocks)


def test_in_a_full_cache_replies_still_get_blocks_that_follow_each_other() -> None:
    pool, chance, runs = BlockPool(64), random.Random(0), []
    running: list[tuple[BlockTable, list[int]]] = []
    for _ in range(400):
        if len(running) == 4:
            pool.release(running.pop(chance.randrange(4))[0])       # in another order than they began
        running.append((BlockTable(), [chance.randrange(9) for _ in range(8 * BLOCK_TOKENS)]))
        for table, ids in running:
            tokens = min(len(ids), table.capacity + 2 * BLOCK_TOKENS)
            assert pool.extend(table, tokens)
            pool.register(table, ids, tokens)
        runs += [len(table.runs) for table, _ in running]
    assert sum(runs[400:]) < 2.5 * len(runs[400:])       # 6 if the blocks unused for longest are taken one by one


def test_a_reply_does_not_grow_into_what_was_used_after_it_began() -> None:
    pool = BlockPool(40)
    first, second = filled(pool, [1] * 20 * BLOCK_TOKENS), filled(pool, [2] * 20 * BLOCK_TOKENS)
    pool.release(second)        # the blocks after the first reply's are those of a later prefix
    third = BlockTable()
    assert pool.share(third, [2] * 20 * BLOCK_TOKENS) == 20 * BLOCK_TOKENS
    pool.release(third)
    before = set(first.blocks)
    assert pool.extend(first, 21 * BLOCK_TOKENS)
    assert pool.share(BlockTable(), [2] * 20 * BLOCK_TOKENS) == (19 - GROWTH) * BLOCK_TOKENS       # its end went, not its beginning
    assert len(set(first.blocks) - before) == 1


def test_random_use_never_loses_or_doubles_a_block() -> None:
    pool, chance, tables = BlockPool(24), random.Random(1), []
    for _ in range(3000):
        if tables and chance.random() < 0.45:
            pool.release(tables.pop(chance.randrange(len(tables)))[0])
        else:
            ids = [chance.randrange(2) for _ in range(chance.randrange(1, 7) * BLOCK_TOKENS)]
            table = BlockTable()
            known = pool.share(table, ids)
            if pool.extend(table, len(ids)):
                pool.register(table, ids, len(ids))
                tables.append((table, ids))
            else:
                pool.release(table)
            assert known % BLOCK_TOKENS == 0
        owned = [block for table, _ in tables for block in table.blocks]
        assert len(set(owned)) + pool.num_free == 24
        for table, _ in tables:
            assert len(set(table.blocks)) == len(table.blocks)
    for table, _ in tables:
        pool.release(table)
    assert pool.num_free == 24
