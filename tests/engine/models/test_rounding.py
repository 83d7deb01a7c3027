import torch

from engine.models import rounding
from engine.models.rounding import GROUP, to_int4, to_int8


def values(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    scale, zero = scales.float().transpose(0, 1).unbind(-1)
    return ((codes.float().view(len(codes), -1, GROUP) - 8) * scale[..., None] + zero[..., None]).flatten(1)


def error(weight: torch.Tensor, found: torch.Tensor) -> float:
    return float((found - weight).norm() / weight.norm())


def test_8_bits_lose_less_than_a_hundredth() -> None:
    weight = torch.randn(40, 96)
    codes, scales = to_int8(weight)
    assert (codes.dtype, scales.dtype, codes.shape, scales.shape) == (torch.int8, torch.bfloat16, (40, 96), (40,))
    assert error(weight, codes.float() * scales.float()[:, None]) < 0.01


def test_4_bits_lose_less_than_a_tenth() -> None:
    weight = torch.randn(48, 96)
    codes, scales = to_int4(weight)
    assert (codes.dtype, scales.dtype, codes.shape, scales.shape) == (torch.uint8, torch.bfloat16, (48, 96), (3, 48, 2))
    assert codes.max() <= 15
    assert error(weight, values(codes, scales)) < 0.08


def test_the_search_is_better_than_the_plain_range() -> None:
    weight = torch.randn(64, 512)
    groups = weight.view(64, -1, GROUP)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    scale = (high - low) / 15
    plain = (((groups - low) / scale).round() * scale + low).flatten(1)
    assert error(weight, values(*to_int4(weight))) < 0.97 * error(weight, plain)


def test_more_shares_are_never_worse(monkeypatch: object) -> None:
    weight = torch.randn(64, 512)
    errors = []
    for shares in ((1.0,), rounding.SHARES, (*rounding.SHARES, 0.7, 0.6)):
        monkeypatch.setattr(rounding, "SHARES", shares)     # type: ignore[attr-defined]
        errors.append(error(weight, values(*to_int4(weight))))
    assert errors == sorted(errors, reverse=True)


def test_groups_without_a_range_keep_their_value() -> None:
    weight = torch.cat([torch.zeros(16, GROUP), torch.full((16, GROUP), 0.5), torch.full((16, GROUP), -3.0)])
    torch.testing.assert_close(values(*to_int4(weight)), weight, atol=1e-6, rtol=0)
    codes, scales = to_int8(weight)
    torch.testing.assert_close(codes.float() * scales.float()[:, None], weight, atol=0, rtol=0.004)     # the scale has 8 bits


def test_one_outlier_costs_only_its_own_group() -> None:
    weight = torch.randn(16, 4 * GROUP)
    before = values(*to_int4(weight))
    weight[3, 5] = 100.0
    after = values(*to_int4(weight))
    assert torch.equal(before[:, GROUP:], after[:, GROUP:])
    assert abs(float(after[3, 5]) - 100) < 1
