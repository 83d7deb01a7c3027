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


def test_quantization_is_never_described_as_faster() -> None:
    for hardware in (CPU, replace(CPU, kind="cuda", name="a GPU")):
        for choice in choices(hardware)[1:]:
            assert "lower" in choice.speed_note


@pytest.mark.parametrize("hardware", [replace(CPU, is_x86_64=False), replace(CPU, kind="mps", name="Apple GPU")])
def test_quantization_is_refused_where_bitsandbytes_cannot_run(hardware: Hardware) -> None:
    require_supported(Quantization.NONE, hardware, "m")
    with pytest.raises(UnsupportedQuantization, match="without quantization"):
        require_supported(Quantization.NF4, hardware, "m")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="gguf"):
        Quantization.parse("gguf")
