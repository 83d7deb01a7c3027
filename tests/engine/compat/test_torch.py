"""The internals of PyTorch that engine/compat/torch.py uses still exist. If a test fails, read the new version's source."""

import platform

import pytest
import torch

from engine.compat import torch as compat

x86_64 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="oneDNN is part of PyTorch on x86-64 only")


@x86_64
def test_the_cpu_reports_whether_it_multiplies_in_bfloat16() -> None:
    assert compat.has_bfloat16_kernels() in (True, False)


@x86_64
def test_the_two_packing_operators_have_these_parameters() -> None:
    """Also on a CPU that cannot run them."""
    def parameters(operator: object) -> list[str]:
        return [argument.name for argument in operator.default._schema.arguments]      # type: ignore[attr-defined]

    assert parameters(torch.ops.mkldnn._is_mkldnn_bf16_supported) == []
    assert len(parameters(torch.ops.mkldnn._reorder_linear_weight)) == 2
    assert len(parameters(torch.ops.mkldnn._linear_pointwise)) == 6


@x86_64
def test_a_packed_weight_multiplies_as_the_plain_one() -> None:
    if not compat.has_bfloat16_kernels():
        pytest.skip("this CPU has no bfloat16 arithmetic")
    weight, x, bias = (torch.randn(*shape, dtype=torch.bfloat16) for shape in ((96, 64), (3, 64), (96,)))
    packed = compat.pack_weight(weight, 8)
    for added in (bias, None):
        assert torch.allclose(compat.packed_linear(x, packed, added), torch.nn.functional.linear(x, weight, added), atol=0.5)
    assert torch.equal(packed.to_dense(), weight)


# --- integers ---

vectors = pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="packed in blocks with AVX only")


@x86_64
def test_the_three_operators_for_integers_have_these_parameters() -> None:
    def parameters(operator: object) -> int:
        return len(operator.default._schema.arguments)      # type: ignore[attr-defined]

    assert parameters(torch.ops.aten._weight_int8pack_mm) == 3
    assert parameters(torch.ops.aten._convert_weight_to_int4pack_for_cpu) == 2
    assert parameters(torch.ops.aten._weight_int4pack_mm_for_cpu) == 4


@x86_64
def test_int8_codes_multiply_as_their_scaled_values() -> None:
    codes, scales = torch.randint(-127, 128, (33, 80), dtype=torch.int8), torch.rand(33).bfloat16()
    x = torch.randn(5, 80).bfloat16()
    expected = x.float() @ (codes.float() * scales.float()[:, None]).T
    result = compat.int8_linear(x, codes, scales)
    assert result.dtype == torch.bfloat16
    assert (result.float() - expected).norm() / expected.norm() < 0.01


def test_int8_codes_that_would_end_the_process_are_refused() -> None:
    x, scales = torch.randn(1, 72).bfloat16(), torch.ones(4).bfloat16()
    for codes in (torch.zeros(4, 72, dtype=torch.int8), torch.zeros(4 * 64 + 1, dtype=torch.int8)[1:].view(4, 64)):
        with pytest.raises(ValueError, match="multiples of 16"):
            compat.int8_linear(x[:, :codes.shape[1]].contiguous(), codes, scales)


@x86_64
def test_int4_codes_multiply_as_their_scaled_values_from_their_zero() -> None:
    codes = torch.randint(0, 16, (112, 96), dtype=torch.int32)
    scales, x = torch.rand(3, 112, 2).bfloat16(), torch.randn(5, 96).bfloat16()
    scale, zero = scales.float().transpose(0, 1).unbind(-1)
    weight = ((codes.view(112, 3, 32) - 8) * scale[..., None] + zero[..., None]).flatten(1)
    result = compat.int4_linear(x, compat.pack_int4(codes), 32, scales)
    assert result.dtype == torch.bfloat16
    assert (result.float() - x.float() @ weight.T).norm() / (x.float() @ weight.T).norm() < 0.01


@vectors
@pytest.mark.parametrize("rows", [16, 48, 64, 96, 112, 256])
def test_packed_int4_codes_are_unpacked(rows: int) -> None:
    codes = torch.randint(0, 16, (rows, 64), dtype=torch.int32)
    packed = compat.pack_int4(codes)
    assert (packed.shape, packed.dtype) == ((rows, 32), torch.uint8)
    assert torch.equal(compat.unpack_int4(packed).T, codes.to(torch.uint8))


@vectors
def test_parts_of_64_rows_are_packed_and_unpacked_alone() -> None:
    codes = torch.randint(0, 16, (176, 64), dtype=torch.int32)
    packed = compat.pack_int4(codes)
    assert torch.equal(packed, torch.cat([compat.pack_int4(codes[:64]), compat.pack_int4(codes[64:])]))
    assert torch.equal(compat.unpack_int4(packed[128:]).T, codes[128:].to(torch.uint8))
