"""Products of integers against plain products of the same rounded weights. No model."""

from __future__ import annotations

import pytest
import torch

from engine.models.integer import GROUP, Int4Product, Int8Product, IntegerProduct, blocks, has_kernels

KINDS = pytest.mark.parametrize("kind", [Int8Product, Int4Product])
pytestmark = pytest.mark.skipif(not has_kernels(), reason="PyTorch has no kernels for integers on this processor")


def made(kind: type[IntegerProduct], rows: int = 208, columns: int = 96, bias: torch.Tensor | None = None) -> IntegerProduct:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
    return kind.of(weight, bias)      # type: ignore[attr-defined,no-any-return]


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 3, 200])
def test_a_product_equals_that_of_its_own_weight(kind: type[IntegerProduct], dtype: torch.dtype, rows: int) -> None:
    """208 rows: also those after the last whole block, of 32 or 64. Up to the rounding of the activations to bfloat16."""
    bias = torch.randn(208).to(dtype)
    product, x = made(kind, bias=bias), torch.randn(rows, 96).to(dtype)
    result = product(x)
    expected = x.float() @ product.dense().T + bias.float()
    assert (result.shape, result.dtype) == ((rows, 208), dtype)
    assert (result.float() - expected).norm() / expected.norm() < 0.01


@KINDS
def test_few_and_many_rows_give_the_same_results(kind: type[IntegerProduct]) -> None:
    product, x = made(kind), torch.randn(kind.few_rows + 1, 96)
    many, few = product(x), product(x[:-1])
    assert (many[:-1] - few).norm() / few.norm() < 0.01


@KINDS
def test_any_number_of_dimensions_is_kept(kind: type[IntegerProduct]) -> None:
    product, x = made(kind), torch.randn(2, 5, 96)
    assert product(x).shape == (2, 5, 208)
    assert product(x[0, 0]).shape == (208,)
    assert product(x[:, :0]).shape == (2, 0, 208)
    torch.testing.assert_close(product(x.transpose(0, 1)), product(x.transpose(0, 1).contiguous()))     # not contiguous


@KINDS
def test_inputs_may_start_anywhere_in_memory(kind: type[IntegerProduct]) -> None:
    """PyTorch's 8-bit kernel ends the process where they start at an odd address."""
    product, x = made(kind), torch.randn(3, 96 + 7).bfloat16()
    for start in (1, 3, 7):
        view = x[:1, start:start + 96]
        torch.testing.assert_close(product(view), product(view.clone()))
        torch.testing.assert_close(product(x[:, start:start + 96]), product(x[:, start:start + 96].clone()))


@KINDS
def test_the_weight_is_rounded_a_block_at_a_time_and_multiplied_so(kind: type[IntegerProduct], monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(100, 96)
    whole = made(kind)
    expected = whole(x)
    monkeypatch.setattr("engine.models.integer.ROUNDED_AT_ONCE", 1)
    monkeypatch.setattr("engine.models.integer.EXPANDED_AT_ONCE", 1)
    parts = made(kind)
    assert torch.equal(parts.dense(), whole.dense())
    torch.testing.assert_close(parts(x), expected)


@KINDS
def test_bytes_are_counted_exactly(kind: type[IntegerProduct]) -> None:
    bias = torch.zeros(208)
    expected = 208 * 96 + 2 * 208 if kind is Int8Product else 208 * 96 * 5 // 8
    assert made(kind).num_bytes == expected
    assert made(kind, bias=bias).num_bytes == expected + 4 * 208


def test_stored_4_bits_are_the_same_on_every_processor() -> None:
    """Two codes to a byte, the first in the low half."""
    product = made(Int4Product)
    stored = product.tensors()
    codes = torch.stack([stored["codes"] & 15, stored["codes"] >> 4], -1).flatten(1)
    scale, zero = stored["scales"].float().transpose(0, 1).unbind(-1)
    values = ((codes.float().view(208, -1, GROUP) - 8) * scale[..., None] + zero[..., None]).flatten(1)
    torch.testing.assert_close(values, product.dense())


def test_a_stored_product_is_the_same() -> None:
    four, eight, x = made(Int4Product), made(Int8Product), torch.randn(4, 96)
    assert torch.equal(Int4Product.of_tensors(**four.tensors())(x), four(x))
    assert torch.equal(Int8Product(**eight.tensors())(x), eight(x))


@pytest.mark.parametrize(("rows", "columns", "weights", "expected"), [
    (208, 96, 1, [(0, 64), (64, 128), (128, 192), (192, 208)]), (208, 96, 10**6, [(0, 208)]), (200, 10, 1280, [(0, 128), (128, 200)])])
def test_blocks_start_at_multiples_of_64(rows: int, columns: int, weights: int, expected: list[tuple[int, int]]) -> None:
    assert list(blocks(rows, columns, weights)) == expected
