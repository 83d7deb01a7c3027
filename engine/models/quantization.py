"""The quantizations none, INT8 and NF4: their memory, their cost, and whether this machine supports them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import InvalidRequest, UnsupportedQuantization
from ..hardware import BYTES_PER_VALUE, Hardware

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig


class Quantization(StrEnum):
    NONE = "none"
    INT8 = "int8"
    NF4 = "nf4"

    @classmethod
    def parse(cls, text: str) -> Quantization:
        try:
            return cls(text.lower())
        except ValueError:
            raise InvalidRequest("quantization", text, "one of " + ", ".join(cls)) from None

    def bytes_per_weight(self, hardware: Hardware) -> float:
        """Bytes per weight of a linear layer.

        INT8: one byte (row scales are negligible). NF4: half a byte plus double-quantized block scales of 64 weights,
        8 bits per block and 32 bits per 256 blocks: 0.127 more bits per weight (QLoRA, arXiv 2305.14314, section 3).
        """
        if self is Quantization.NONE:
            return BYTES_PER_VALUE[hardware.dtype]
        return 1.0 if self is Quantization.INT8 else (4 + 0.127) / 8


@dataclass(frozen=True, slots=True)
class QuantizationChoice:
    """One choice as it is shown to users. `reason`: why it is supported or not. The notes say what it costs."""

    quantization: Quantization
    is_supported: bool
    reason: str
    memory_note: str
    speed_note: str


def choices(hardware: Hardware) -> tuple[QuantizationChoice, ...]:
    return tuple(describe(quantization, hardware) for quantization in Quantization)


def describe(quantization: Quantization, hardware: Hardware) -> QuantizationChoice:
    if quantization is Quantization.NONE:
        return QuantizationChoice(quantization, True, f"{hardware.dtype}: {hardware.dtype_reason}",
                                  f"{BYTES_PER_VALUE[hardware.dtype]} bytes per weight", "The reference for speed and quality.")
    is_supported, reason = _bitsandbytes_support(hardware)
    memory = ("half of 16-bit, about 1 % of quality" if quantization is Quantization.INT8
              else "a quarter of 16-bit, 2 to 3 % of quality")
    if hardware.kind == "cpu":
        speed = "Slower than 16-bit on a CPU: weights are unpacked at every step. It saves memory, not time."
    elif quantization is Quantization.INT8:
        speed = "Slower than 16-bit on GPUs (about a third of its speed on large ones). It saves memory, not time."
    else:
        speed = "Slower than 16-bit on large GPUs, sometimes faster on small ones. Choose it for memory."
    return QuantizationChoice(quantization, is_supported, reason, memory, speed)


def require_supported(quantization: Quantization, hardware: Hardware, model: str) -> None:
    """Raises UnsupportedQuantization, before anything is unloaded."""
    choice = describe(quantization, hardware)
    if not choice.is_supported:
        raise UnsupportedQuantization(model, quantization.upper(), choice.reason)


def _bitsandbytes_support(hardware: Hardware) -> tuple[bool, str]:
    if find_spec("bitsandbytes") is None:
        return False, "bitsandbytes is not installed."
    if hardware.kind == "cuda":
        return True, "bitsandbytes runs on this GPU"
    if hardware.kind == "cpu" and hardware.is_x86_64:
        return True, "bitsandbytes runs on x86-64 CPUs"
    return False, f"bitsandbytes needs an NVIDIA GPU or an x86-64 CPU, and this is {hardware.name}."


def bitsandbytes_config(quantization: Quantization, hardware: Hardware) -> BitsAndBytesConfig | None:
    """None without quantization. NF4 uses double quantization and the device's compute dtype."""
    if quantization is Quantization.NONE:
        return None
    import torch
    from transformers import BitsAndBytesConfig

    if quantization is Quantization.INT8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                              bnb_4bit_compute_dtype=getattr(torch, hardware.dtype))
