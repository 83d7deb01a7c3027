"""The number of threads follows the times of steps. Times are made up here: nothing is measured."""

from collections.abc import Callable

import torch

from engine.generation.threads import ThreadChoice, fastest_now

QUIET = {1: 0.035, 2: 0.020}
BUSY = {1: 0.045, 2: 0.300}


def run(choice: ThreadChoice, seconds: float, step_s: Callable[[int], float], tokens: int = 1) -> list[int]:
    """The numbers used for steps that take so long in all."""
    used, spent = [], 0.0
    while spent < seconds:
        count = choice.begin(tokens)
        choice.end(tokens, step_s(count))
        spent += step_s(count)
        used.append(count)
    return used


def test_a_quiet_machine_uses_all_threads_and_rarely_tries_fewer() -> None:
    used = run(ThreadChoice(2), 120, QUIET.__getitem__)
    assert used.count(1) <= 10
    assert sum(map(QUIET.__getitem__, used)) / (len(used) * QUIET[2]) < 1.01


def test_busy_neighbours_are_noticed_after_one_slow_step() -> None:
    choice = ThreadChoice(2)
    run(choice, 5, QUIET.__getitem__)
    used = run(choice, 60, BUSY.__getitem__)
    assert used[:3] == [2, 1, 1]
    assert used.count(2) <= 8       # each costs a third of a second
    assert len(used) * BUSY[1] > 0.9 * 60


def test_all_threads_are_used_again_when_the_neighbours_are_gone() -> None:
    choice = ThreadChoice(2)
    run(choice, 5, QUIET.__getitem__)
    run(choice, 60, BUSY.__getitem__)
    run(choice, 35, QUIET.__getitem__)
    assert choice.begin(1) == 2


def test_the_best_of_many_numbers_is_found_step_by_step() -> None:
    choice = ThreadChoice(12)       # as on a CPU with four fast cores
    run(choice, 120, lambda count: 0.02 + 0.01 * abs(count - 4))
    assert run(choice, 1, lambda count: 0.02 + 0.01 * abs(count - 4)).count(4) > 15


def test_steps_of_other_sizes_are_not_compared() -> None:
    choice = ThreadChoice(2)
    run(choice, 3, QUIET.__getitem__)
    assert set(run(choice, 2, lambda count: 20 * QUIET[count], tokens=512)) == {2}


def test_one_thread_leaves_nothing_to_choose() -> None:
    assert set(run(ThreadChoice(1), 60, lambda count: 0.02)) == {1}


def test_the_number_of_threads_is_restored_after_work_done_once() -> None:
    before = torch.get_num_threads()
    with fastest_now(4):
        assert torch.get_num_threads() in (1, 4)
    assert torch.get_num_threads() == before
