"""Statistics of repeated measurements, against numbers computed by hand."""

import pytest

from engine.benchmark.measure.samples import Samples, percentile, warm_up


def test_the_deviation_is_that_of_a_sample() -> None:
    samples = Samples((2.0, 4.0, 4.0, 6.0))     # mean 4, squares 4 + 0 + 0 + 4 = 8, over 3
    assert (samples.mean, samples.stdev) == (4.0, pytest.approx((8 / 3) ** 0.5))


def test_a_spread_over_five_percent_is_noisy() -> None:
    assert not Samples((100.0, 105.0)).is_noisy         # 3.54 / 102.5 = 3.4 %
    assert Samples((100.0, 110.0)).is_noisy             # 7.07 / 105 = 6.7 %


def test_one_value_has_no_spread() -> None:
    assert (Samples((3.0,)).stdev, Samples((3.0,)).is_noisy, Samples(()).mean) == (0.0, False, 0.0)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 10.0), (0.5, 25.0), (0.95, 38.5), (1.0, 40.0)])
def test_percentiles_lie_between_neighbours(share: float, expected: float) -> None:
    assert percentile([40.0, 10.0, 30.0, 20.0], share) == pytest.approx(expected)


@pytest.mark.parametrize(("rates", "runs"), [([10, 10.4, 99], 2), ([10, 20, 20.9, 99], 3), ([1, 2, 4, 8, 16, 32], 5), ([10, 9.4, 9.5], 3)])
def test_warming_up_ends_when_two_runs_agree_or_after_five(rates: list[float], runs: int) -> None:
    left = iter(rates)
    assert warm_up(lambda: next(left)) == tuple(rates[:runs])
