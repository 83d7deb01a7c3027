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
