"""The distribution of drawn tokens, and the options that change it."""

import math
import random

import pytest
import torch

from engine import GenerationOptions
from engine.errors import NotANumber
from engine.generation.sampling import Drawn, draw, keep_likely
from engine.generation.sequence import Sequence

LOGITS = torch.tensor([0.1, 0.2, 0.4, 0.3]).log()


def sequence(ids: tuple[int, ...] = (0,), num_prompt: int = 1, **options: object) -> Sequence:
    return Sequence(list(ids), num_prompt, GenerationOptions(**{"temperature": 1.0, **options}), frozenset())


def shares(count: int = 4000, **options: object) -> torch.Tensor:
    """How often each token is drawn by `count` replies with the same options, as a share."""
    drawn = draw(LOGITS.repeat(count, 1), [sequence(seed=number, **options) for number in range(count)])
    return torch.bincount(torch.tensor([each.token for each in drawn if isinstance(each, Drawn)]), minlength=4) / count


def greedy(row: list[float], **options: object) -> Drawn | NotANumber:
    ids = options.pop("ids", (0,))
    return draw(torch.tensor([row]), [sequence(ids, **{"temperature": 0.0, **options})])[0]     # type: ignore[arg-type]


def test_penalties_do_not_depend_on_the_default_dtype_which_a_load_changes_meanwhile() -> None:
    logits, reply = torch.tensor([[1.0, 2.0, 3.0]]), sequence((0, 2), temperature=0.0, presence_penalty=2.0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        assert draw(logits, [reply]) == [Drawn(1)]
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("options", "expected"), [
    ({}, LOGITS.exp()), ({"temperature": 0.5}, (LOGITS * 2).softmax(-1)), ({"temperature": 0.0}, torch.tensor([0.0, 0, 1, 0])),
    ({"top_k": 2}, torch.tensor([0, 0, 4 / 7, 3 / 7])), ({"top_p": 0.65}, torch.tensor([0, 0, 4 / 7, 3 / 7])),
    ({"top_k": 10**6}, LOGITS.exp()), ({"min_p": 0.6}, torch.tensor([0, 0, 4 / 7, 3 / 7])),
    ({"logit_bias": {3: -100.0}}, torch.tensor([1 / 7, 2 / 7, 4 / 7, 0]))], ids=str)
def test_tokens_are_drawn_from_the_distribution_that_the_options_describe(options: dict[str, object], expected: torch.Tensor) -> None:
    assert torch.allclose(shares(**options), expected, atol=0.03)


def test_each_row_has_its_own_options() -> None:
    def column(*values: float) -> torch.Tensor:
        return torch.tensor(values)[:, None]

    kept = keep_likely(LOGITS.repeat(3, 1), column(1, 0, 0), column(1, 1, 1), column(0, 0, 0.9))
    assert torch.isfinite(kept).sum(-1).tolist() == [1, 4, 1]


def test_a_seed_draws_the_same_tokens_whatever_else_is_drawn() -> None:
    def tokens(number_of_others: int) -> list[int]:
        seeded, found = sequence(seed=7), []
        for _ in range(30):
            others = [sequence() for _ in range(number_of_others)]
            drawn = draw(LOGITS.repeat(number_of_others + 1, 1), [*others, seeded])[-1]
            assert isinstance(drawn, Drawn)
            found.append(drawn.token)
        return found

    assert tokens(0) == tokens(5)


class Highest(random.Random):
    def random(self) -> float:
        return 1 - 2**-53       # the largest that Python draws


def test_a_token_without_probability_is_never_drawn() -> None:
    one = sequence(top_k=2)
    one.dice = Highest()
    assert draw(torch.tensor([[0.0, 2.0, 1.0, -1.0, -2.0]]), [one]) == [Drawn(2)]


def test_penalties_lower_tokens_that_were_used() -> None:
    assert greedy([2.0, 1.9, 0.0], ids=(0,), repetition_penalty=1.2) == Drawn(1)
    assert greedy([2.0, 1.9, 0.0], ids=(0,), presence_penalty=0.5) == Drawn(0)          # of the prompt: not counted
    assert greedy([2.0, 1.9, 0.0], ids=(5, 0), presence_penalty=0.5) == Drawn(1)
    assert greedy([2.0, 1.5, 0.0], ids=(5, 0), frequency_penalty=0.3) == Drawn(0)
    assert greedy([2.0, 1.5, 0.0], ids=(5, 0, 0), frequency_penalty=0.3) == Drawn(1)


def test_a_penalty_counts_the_tokens_that_are_drawn_later() -> None:
    one = sequence(temperature=0.0, presence_penalty=1.0)
    found = []
    for _ in range(3):
        drawn = draw(torch.tensor([[2.0, 1.5, 1.2]]), [one])[0]
        assert isinstance(drawn, Drawn)
        one.accept(drawn.token)
        found.append(drawn.token)
    assert found == [0, 1, 2]


@pytest.mark.parametrize("row", [[math.nan, 1.0, 2.0], [math.inf, 0.0, 0.0], [-math.inf] * 3])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_that_is_not_finite_is_an_error_of_its_reply_only(row: list[float], temperature: float) -> None:
    drawn = draw(torch.tensor([row, [0.0, 9.0, 0.0]]), [sequence(temperature=temperature), sequence(temperature=0.0)])
    assert isinstance(drawn[0], NotANumber)
    assert drawn[1] == Drawn(1)


def test_log_probabilities_are_those_of_the_softmax() -> None:
    drawn = greedy(LOGITS.tolist(), top_logprobs=2)
    assert isinstance(drawn, Drawn)
    assert drawn.score is not None
    assert drawn.score.log_probability == pytest.approx(math.log(0.4), abs=1e-5)
    assert [token for token, _ in drawn.score.likeliest] == [2, 3]


def test_more_log_probabilities_than_tokens_are_those_of_all_tokens() -> None:
    drawn = greedy(LOGITS.tolist(), top_logprobs=20)
    assert isinstance(drawn, Drawn)
    assert drawn.score is not None
    assert len(drawn.score.likeliest) == len(LOGITS)


def test_drawing_again_before_the_token_is_accepted_gives_the_same_token() -> None:
    one, logits = sequence(seed=3), torch.zeros(1, 1000)
    first, again = draw(logits, [one]), draw(logits, [one])
    assert first == again
    assert isinstance(first[0], Drawn)
    one.accept(first[0].token)
    assert draw(logits, [one]) != first
