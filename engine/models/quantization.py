"""The quantizations none, INT8, INT4 and NF4: their memory, their cost, their kernels, and whether this machine supports them.

8 bits are INT8: on a CPU by PyTorch's kernel, on a GPU by bitsandbytes. 4 bits are INT4 on a CPU and NF4 on a GPU: on a CPU,
bitsandbytes expands its weights at every step, and PyTorch's kernels read the integers (docs/benchmarks.md). NF4 can be chosen there too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from ..checkpoint.stored_quantization import StoredQuantization
from ..errors import InvalidRequest, UnsupportedQuantization
from ..hardware import BYTES_PER_VALUE, Hardware

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig

Kernel = Literal["none", "pytorch", "bitsandbytes"]     # what multiplies quantized weights


class Quantization(StrEnum):
    NONE = "none"
    INT8 = "int8"
    INT4 = "int4"
    NF4 = "nf4"

    @classmethod
    def parse(cls, text: str, hardware: Callable[[], Hardware] | None = None) -> Quantization:
        """A quantization by its name, or with `hardware` by its bits: 8bit, 4bit. Raises InvalidRequest."""
        name = text.lower().replace("-", "")
        if hardware is not None and name in ("8bit", "4bit"):
            return cls.INT8 if name == "8bit" else four_bit(hardware())
        try:
            return cls(text.lower())
        except ValueError:
            raise InvalidRequest("quantization", text, "one of " + ", ".join(cls)) from None

    @property
    def bits(self) -> int:
        return {Quantization.NONE: 16, Quantization.INT8: 8}.get(self, 4)

    def kernel(self, hardware: Hardware) -> Kernel:
        if self is Quantization.NONE:
            return "none"
        is_pytorch = self is Quantization.INT4 or (self is Quantization.INT8 and hardware.kind == "cpu")
        return "pytorch" if is_pytorch else "bitsandbytes"

    def bytes_per_weight(self, hardware: Hardware) -> float:
        """Bytes per weight of a linear layer.

        INT8: one byte (row scales are negligible). INT4: half a byte, and a scale and a zero of 16 bits for each 32 weights: 5 bits.
        NF4: half a byte plus double-quantized block scales of 64 weights, 8 bits per block and 32 bits per 256 blocks: 0.127 more
        bits per weight (QLoRA, arXiv 2305.14314, section 3).
        """
        match self:
            case Quantization.NONE:
                return BYTES_PER_VALUE[hardware.dtype]
            case Quantization.INT8:
                return 1.0
            case Quantization.INT4:
                return (4 + 2 * 16 / 32) / 8
            case Quantization.NF4:
                return (4 + 0.127) / 8


def held_as(quantization: Quantization, stored_codes: str, hardware: Hardware) -> Quantization:
    """The quantization in which the weights are held in memory.

    It is the one that was asked for; without one, the codes of weights that are stored quantized are kept if this machine has kernels
    for them (checkpoint/stored_quantization.py), and they are expanded if not.
    """
    if quantization is Quantization.NONE and stored_codes:
        stored = Quantization(stored_codes)
        return stored if describe(stored, hardware).is_supported else quantization
    return quantization


def reads_stored(held: Quantization, stored_codes: str, hardware: Hardware) -> bool:
    """Whether bitsandbytes loads weights that are stored quantized as they are."""
    return held == stored_codes and held.kernel(hardware) == "bitsandbytes"


def stored_note(stored: StoredQuantization | None, gguf: str, held: Quantization, dtype: str, *, has_experts: bool) -> str:
    """A sentence for people about what becomes of weights that are stored quantized; "" for others. `gguf`: the file that holds them.

    `has_experts`: of a mixture of experts, which transformers merges into tensors that no kernel here reads quantized.
    """
    name = f"GGUF ({gguf})" if gguf else stored.name if stored else ""
    if not name:
        return ""
    if stored is not None and held == stored.codes:
        experts = f", except those of its experts, which are held in {dtype}" if has_experts else ""
        return f"Stored in {name}: its codes are used as they are{experts}."
    return f"Stored in {name}: expanded to {dtype}." if held is Quantization.NONE else \
        f"Stored in {name}: expanded, then rounded to {held.upper()}."


def four_bit(hardware: Hardware) -> Quantization:
    """The 4 bits that are fastest on this hardware."""
    return Quantization.INT4 if hardware.kind == "cpu" and hardware.is_x86_64 else Quantization.NF4


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
    is_supported, reason = _support(quantization, hardware)
    memory = {8: "half of 16-bit, about 1 % of quality", 4: "a quarter of 16-bit, 2 to 3 % of quality"}[quantization.bits]
    if quantization is Quantization.INT4:
        memory = "less than a third of 16-bit, 1 to 3 % of quality"
    return QuantizationChoice(quantization, is_supported, reason, memory, _speed_note(quantization, hardware))


def _speed_note(quantization: Quantization, hardware: Hardware) -> str:
    if hardware.kind == "cpu":
        if quantization.kernel(hardware) == "pytorch":
            return "Faster than 16-bit for one reply: fewer bytes are read for each token. Slower for many replies at once and for prompts."
        return "Slower than 16-bit on a CPU: weights are unpacked at every step. It saves memory, not time."
    if quantization is Quantization.INT8:
        return "Slower than 16-bit on GPUs (about a third of its speed on large ones). It saves memory, not time."
    return "Slower than 16-bit on large GPUs, sometimes faster on small ones. Choose it for memory."


def require_supported(quantization: Quantization, hardware: Hardware, model: str) -> None:
    """Raises UnsupportedQuantization, before anything is unloaded."""
    choice = describe(quantization, hardware)
    if not choice.is_supported:
        raise UnsupportedQuantization(model, quantization.upper(), choice.reason)


def _support(quantization: Quantization, hardware: Hardware) -> tuple[bool, str]:
    if hardware.is_lent:
        return False, "ZeroGPU lends a large GPU for a short time, so weights stay in 16 bits."
    if quantization.kernel(hardware) == "bitsandbytes":
        return _bitsandbytes_support(hardware)
    if hardware.kind == "cpu" and hardware.is_x86_64:
        return True, "PyTorch's kernels read the integers, where bitsandbytes expands them to 16 or 32 bits at every step"
    better = " Its 4 bits are NF4." if hardware.kind == "cuda" else ""
    return False, f"PyTorch's kernels for integers are used on x86-64 CPUs only, and this is {hardware.name}.{better}"


def _bitsandbytes_support(hardware: Hardware) -> tuple[bool, str]:
    if find_spec("bitsandbytes") is None:
        return False, "bitsandbytes is not installed."
    if hardware.kind == "cuda":
        return True, "bitsandbytes runs on this GPU"
    if hardware.kind == "cpu" and hardware.is_x86_64:
        return True, "bitsandbytes runs on x86-64 CPUs"
    return False, f"bitsandbytes needs an NVIDIA GPU or an x86-64 CPU, and this is {hardware.name}."


def bitsandbytes_config(quantization: Quantization, hardware: Hardware, kept: Sequence[str] = ()) -> BitsAndBytesConfig | None:
    """None if bitsandbytes has no part in it. NF4 uses double quantization and the device's compute dtype.

    kept: names of all modules that are not quantized, the head among them; by default the head.
    """
    if quantization.kernel(hardware) != "bitsandbytes":
        return None
    import torch
    from transformers import BitsAndBytesConfig

    if quantization is Quantization.INT8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(kept) or None)
    return BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=list(kept) or None, bnb_4bit_quant_type="nf4",
                              bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=getattr(torch, hardware.dtype))
