"""Which replies a step advances, in which order, and what happens when the cache is full."""

from engine import GenerationOptions
from engine.generation.blocks import BLOCK_TOKENS, BlockPool
from engine.generation.scheduler import BUSY_S, SMALLEST_SLICE, Scheduler
from engine.generation.sequence import Part, Sequence

STEP, RATE = 512, 640       # most prompt tokens of a step, and how many are read in a second
SLICE = int(BUSY_S * RATE)


def sequence(arrival: int, tokens: int = 20, visitor: str = "") -> Sequence:
    ids = [arrival * 1000 + i for i in range(tokens)]
    return Sequence(ids, tokens, GenerationOptions(max_new_tokens=500), frozenset(), visitor, arrival)


def scheduler(num_blocks: int = 256, *waiting: Sequence) -> Scheduler:
    made = Scheduler(BlockPool(num_blocks), STEP, lambda sequence: "")
    made.waiting += waiting
    return made


def run(made: Scheduler) -> list[tuple[int, int, int]]:
    """One step: the arrival of each part's reply, and its first and last position."""
    parts: list[Part] = made.next_step()
    made.took(parts, sum(part.last - part.first for part in parts) / RATE)
    for part in parts:
        made.computed(part)
        if part.is_last:
            part.sequence.accept(1)
    return [(part.sequence.arrival, part.first, part.last) for part in parts]


def test_a_step_mixes_decoding_replies_with_a_bounded_slice_of_a_prompt() -> None:
    made = scheduler(256, sequence(0))
    assert run(made) == [(0, 0, 20)]
    made.waiting.append(sequence(1, 600))
    assert run(made) == [(0, 20, 21), (1, 0, SLICE)]
    assert run(made) == [(0, 21, 22), (1, SLICE, 2 * SLICE)]


def test_prompts_fill_a_step_while_nothing_is_decoded() -> None:
    made = scheduler(256, sequence(9, 20))
    run(made)
    made.remove(made.running[0])
    made.waiting += [sequence(0, 300), sequence(1, 300)]
    assert run(made) == [(0, 0, 300), (1, 0, STEP - 300)]


def test_a_slow_model_reads_prompts_in_small_slices() -> None:
    made = scheduler(256, sequence(0, 100))
    made.took([Part(sequence(5, 100), 0, 100)], 50.0)
    assert run(made) == [(0, 0, SMALLEST_SLICE)]


def test_a_short_prompt_does_not_wait_for_a_long_one() -> None:
    made = scheduler(256, sequence(0, 2000))
    made.took([Part(sequence(5, RATE), 0, RATE)], 1.0)
    assert run(made) == [(0, 0, STEP)]
    made.waiting += [sequence(1, 50), sequence(2, 1000)]
    assert run(made) == [(1, 0, 50), (2, 0, STEP // 2 - 50), (0, STEP, STEP + STEP // 2)]
    assert run(made) == [(1, 50, 51), (2, 206, 206 + SLICE // 2), (0, 768, 768 + SLICE // 2)]


def test_visitors_take_turns() -> None:
    made = scheduler(256, *(sequence(i, 50, "busy") for i in range(4)), sequence(4, 50, "other"))
    assert [arrival for arrival, _, _ in run(made)] == [0, 4, 1]


def test_the_place_in_the_queue_is_that_of_the_visitors_turn() -> None:
    many = [sequence(number, visitor="busy") for number in range(1, 4)]
    late = sequence(9, visitor="quiet")
    made = scheduler(2, sequence(0, visitor="busy"))
    run(made)
    made.waiting += [*many, late]
    assert [made.ahead_of(each) for each in (late, *many)] == [0, 1, 2, 3]
    order = []
    while made.waiting:
        made.remove(made.running[0])
        run(made)
        order.append(made.running[0].arrival)
    assert order == [9, 1, 2, 3]
    assert made.expected_s(1) == 2 * made.expected_s(0)       # type: ignore[operator]


def test_the_wait_is_unknown_until_the_queue_has_moved() -> None:
    made = scheduler(256, sequence(0))
    run(made)
    assert made.expected_s(0) is None


def test_a_cancelled_reply_is_gone_at_the_next_step() -> None:
    first, second = sequence(0), sequence(1)
    made = scheduler(256, first, second)
    run(made)
    first.is_cancelled = True
    assert run(made) == [(1, 20, 21)]
    assert first.table.blocks == []


def test_a_reply_waits_until_its_prompt_has_room() -> None:
    first, second = sequence(0, 3 * BLOCK_TOKENS), sequence(1, 3 * BLOCK_TOKENS)
    made = scheduler(5, first, second)
    assert run(made) == [(0, 0, 3 * BLOCK_TOKENS)]
    assert made.ahead_of(second) == 0
    made.remove(first)
    assert run(made) == [(1, 0, 3 * BLOCK_TOKENS)]


def test_the_latest_reply_gives_way_when_the_cache_is_full_and_is_computed_again() -> None:
    first, second = sequence(0, 2 * BLOCK_TOKENS), sequence(1, 2 * BLOCK_TOKENS - 2)
    made = scheduler(5, first, second)
    for _ in range(6):
        run(made)
    assert made.running == [first]
    assert made.waiting == [second]
    tokens = list(second.ids)
    made.remove(first)
    first_again = run(made)[0]
    assert first_again[0] == 1
    assert first_again[2] == len(tokens)
    assert second.ids[: len(tokens)] == tokens


def test_the_visitor_with_most_replies_gives_way_when_the_cache_is_full() -> None:
    busy, other = [sequence(number, 2 * BLOCK_TOKENS, "busy") for number in range(3)], sequence(3, 2 * BLOCK_TOKENS, "other")
    made = scheduler(9, *busy, other)
    for _ in range(BLOCK_TOKENS):
        run(made)
    assert made.running == [busy[0], busy[1], other]
    for _ in range(BLOCK_TOKENS):
        run(made)
    assert made.running == [busy[0], other]


def test_a_reply_whose_root_changes_is_computed_again() -> None:
    made = Scheduler(BlockPool(64), STEP, lambda sequence: len(sequence.ids) > 21)
    made.waiting.append(sequence(0))
    assert [run(made) for _ in range(3)] == [[(0, 0, 20)], [(0, 20, 21)], [(0, 0, 22)]]
