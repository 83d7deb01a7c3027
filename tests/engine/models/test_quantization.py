from dataclasses import replace

import pytest

from engine.errors import InvalidRequest, UnsupportedQuantization
from engine.hardware import Hardware
from engine.models.quantization import Quantization, choices, require_supported

CPU = Hardware("cpu", "a CPU", 1, "bfloat16", "because", 2**34, True)


def test_every_choice_has_its_reason_and_its_costs() -> None:
    for choice in choices(CPU):
        assert choice.is_supported
        assert choice.reason
        assert choice.memory_note
        assert choice.speed_note


GPU = replace(CPU, kind="cuda", name="a GPU")


def test_only_kernels_that_read_integers_are_described_as_faster() -> None:
    for hardware in (CPU, GPU):
        for choice in choices(hardware)[1:]:
            is_faster = choice.quantization.kernel(hardware) == "pytorch" and hardware is CPU
            assert ("Faster" in choice.speed_note) is is_faster
            assert "lower" in choice.speed_note


def test_the_kernel_follows_the_hardware() -> None:
    assert [each.kernel(CPU) for each in Quantization] == ["none", "pytorch", "pytorch", "bitsandbytes"]
    assert [each.kernel(GPU) for each in Quantization] == ["none", "bitsandbytes", "pytorch", "bitsandbytes"]
    assert [choice.is_supported for choice in choices(GPU)] == [True, True, False, True]
    assert "NF4" in choices(GPU)[2].reason


def test_a_number_of_bits_means_the_fastest_kind_on_the_hardware() -> None:
    assert [Quantization.parse(bits, lambda: CPU) for bits in ("8-bit", "4bit")] == [Quantization.INT8, Quantization.INT4]
    assert Quantization.parse("4-bit", lambda: GPU) is Quantization.NF4
    assert Quantization.parse("NF4", lambda: CPU) is Quantization.NF4
    with pytest.raises(InvalidRequest):
        Quantization.parse("4-bit")


def test_4_bits_in_groups_of_32_are_5_bits() -> None:
    assert Quantization.INT4.bytes_per_weight(CPU) * 8 == 5


@pytest.mark.parametrize("hardware", [replace(CPU, is_x86_64=False), replace(CPU, kind="mps", name="Apple GPU")])
def test_quantization_is_refused_where_bitsandbytes_cannot_run(hardware: Hardware) -> None:
    require_supported(Quantization.NONE, hardware, "m")
    with pytest.raises(UnsupportedQuantization, match="without quantization"):
        require_supported(Quantization.NF4, hardware, "m")
    with pytest.raises(UnsupportedQuantization, match="x86-64"):
        require_supported(Quantization.INT4, hardware, "m")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="gguf"):
        Quantization.parse("gguf")
