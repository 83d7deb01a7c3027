"""Memory arithmetic: how much a model takes, computed before it is loaded.

`python -m engine.models.fit FOLDER_OR_REPO --context 4096 --visitors 4 --json` prints it; benchmarks/fit.py measures its accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from ..checkpoint.shape import GGUF_DTYPE, ModelShape
from ..errors import gib
from ..hardware import BYTES_PER_VALUE, DType, Hardware
from .quantization import Quantization, held_as, reads_stored

MIB = 2**20
# Constants with MiB were measured by benchmarks/fit.py on Linux, a CPU and torch 2.13; those for GPUs are orders of magnitude.
IMPORT_BYTES = {"cuda": 0, "mps": 0, "cpu": 126 * MIB}          # transformers; imported already if a model was loaded before
LIBRARY_BYTES = {"cuda": 600 * MIB, "mps": 300 * MIB, "cpu": 40 * MIB}      # the model's code and threads; on GPUs the kernels
PACKER_BYTES = 30 * MIB     # bitsandbytes and accelerate
EXPERT_BYTES = 110 * MIB    # oneDNN keeps one kernel for each number of tokens that an expert received
STEP_TOKENS = {"cuda": 2048, "mps": 256, "cpu": 512}        # prompt tokens processed per step (generation/batched.py, single.py)
# Bytes per value of the largest matrix while bitsandbytes quantizes it: 32-bit copies, codes and the result (its backends/default/ops.py).
PACKING_BYTES = {Quantization.INT8: 11.0, Quantization.NF4: 14.5}
SIBLINGS = 2        # the largest matrices that linear.py joins before they are packed: gate_proj and up_proj
STATE_BYTES = 4     # per value: recurrent states are in 32 bits whatever the model computes in (the states of convolutions are small)
STATES = 3          # of each reply: its own and, to start a later reply from, two at the ends of blocks (generation/snapshots.py)
ACTIVATIONS = 4     # copies of the activations of a layer
TIGHT_SHARE = 0.85      # above this share of free memory a model can be loaded, but little is left for other programs


class Verdict(StrEnum):
    FITS = "fits"
    TIGHT = "tight"
    TEXT_ONLY = "text only"     # with the part that reads pictures it is too large
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Fit:
    """Memory of a model. File pages are its files, mapped while loading: they count as memory of the process as long as one
    tensor lies in them, but the system takes them back when memory is short, so they need not be free.
    """

    weight_bytes: int
    kv_bytes: int               # keys, values and states
    runtime_bytes: int          # libraries and the buffers of a step
    free_bytes: int
    import_bytes: int = 0       # of runtime_bytes: libraries that an earlier load has imported already
    step_bytes: int = 0         # of runtime_bytes: buffers of a step with full windows, not allocated by a load
    loading_bytes: int = 0      # beside the weights while loading: libraries, the matrix being quantized
    page_bytes: int = 0         # file pages while loading
    kept_page_bytes: int = 0    # file pages afterwards
    vision_bytes: int = 0       # of needed_bytes: the part that reads pictures, which can be left out

    @property
    def load_peak_bytes(self) -> int:
        """Peak while loading, file pages included."""
        return self.weight_bytes + self.loading_bytes + self.page_bytes

    @property
    def total_bytes(self) -> int:
        """Peak of loading and use as a measurement of the process shows it, file pages included."""
        return max(self.load_peak_bytes, self.weight_bytes + self.kept_page_bytes + self.kv_bytes + self.runtime_bytes)

    @property
    def loaded_bytes(self) -> int:
        """The same for a load and a first short reply without libraries, which is measured at every load."""
        held = self.weight_bytes + self.kept_page_bytes + self.kv_bytes + self.runtime_bytes - self.step_bytes
        return max(self.load_peak_bytes, held) - self.import_bytes

    @property
    def needed_bytes(self) -> int:
        """Memory that must be free: the peak without file pages."""
        return self.weight_bytes + max(self.loading_bytes, self.kv_bytes + self.runtime_bytes)

    @property
    def verdict(self) -> Verdict:
        if self.needed_bytes > self.free_bytes:
            fits_without = self.needed_bytes - self.vision_bytes <= self.free_bytes
            return Verdict.TEXT_ONLY if fits_without else Verdict.TOO_LARGE
        return Verdict.TIGHT if self.needed_bytes > TIGHT_SHARE * self.free_bytes else Verdict.FITS

    @property
    def sentence(self) -> str:
        return (f"{self.verdict.value}: {gib(self.weight_bytes)} weights + {gib(self.kv_bytes)} cache + "
                f"{gib(self.runtime_bytes)} runtime of {gib(self.free_bytes)} free")


def kv_cache_bytes(shape: ModelShape, context_tokens: int, bytes_per_value: float) -> int:
    """Size of the keys and values of one sequence: those of one token (cache_shape.py) times tokens.

    Layers with a sliding window hold every token too (generation/paged_cache.py).
    """
    return math.ceil(shape.cache_values_per_token * context_tokens * bytes_per_value)


def state_bytes(shape: ModelShape, concurrent: int) -> int:
    """Size of the states that layers keep instead of keys and values, of `concurrent` replies; independent of their length."""
    return concurrent * STATES * shape.state_values * STATE_BYTES


def weight_bytes(shape: ModelShape, quantization: Quantization, hardware: Hardware, dtype: DType) -> int:
    """Size of the loaded weights. Only the matrices of linear layers are quantized.

    By PyTorch's kernels also the head, to 8 bits and a scale of 16 bits for each row; a tied one as a copy (integer_model.py).
    """
    wide = BYTES_PER_VALUE[dtype]
    packed = quantization.bytes_per_weight(hardware) if quantization is not Quantization.NONE else wide
    size = shape.linear_weights * packed + shape.other_weights * wide
    if quantization.kernel(hardware) == "pytorch":
        size += (shape.head_weights or shape.vocab_size * shape.hidden_size) + 2 * shape.vocab_size - shape.head_weights * wide
    return math.ceil(size)


def compute_dtype(shape: ModelShape, quantization: Quantization, hardware: Hardware) -> DType:
    """Return the dtype in which a loaded model computes by default."""
    quantization = held_as(quantization, shape.stored_codes, hardware)
    if quantization is Quantization.INT8 and quantization.kernel(hardware) == "bitsandbytes":
        return "float16"
    if quantization is Quantization.NONE and shape.stored_dtype == "float32" and hardware.kind == "cpu":
        return "float32"
    return hardware.dtype


def judge(shape: ModelShape, quantization: Quantization, hardware: Hardware, *, dtype: DType, context_tokens: int,
          concurrent: int, free_bytes: int) -> Fit:
    """Return the memory of the model with `concurrent` windows of `context_tokens`."""
    quantization = held_as(quantization, shape.stored_codes, hardware)
    kv = concurrent * kv_cache_bytes(shape, context_tokens, BYTES_PER_VALUE[dtype]) + state_bytes(shape, concurrent)
    imports = IMPORT_BYTES[hardware.kind]
    libraries = imports + LIBRARY_BYTES[hardware.kind] + (PACKER_BYTES if quantization.kernel(hardware) == "bitsandbytes" else 0)
    picture = ACTIVATIONS * shape.picture_values * BYTES_PER_VALUE[dtype]
    step = step_bytes(shape, quantization, hardware, dtype, context_tokens * concurrent) + picture
    pages, kept = _file_pages(shape, quantization, hardware, dtype)
    return Fit(
        weight_bytes(shape, quantization, hardware, dtype), kv, libraries + step, free_bytes, import_bytes=imports, step_bytes=step,
        loading_bytes=libraries + _packing_bytes(shape, quantization, hardware, dtype), page_bytes=pages, kept_page_bytes=kept,
        vision_bytes=shape.vision_weights * BYTES_PER_VALUE[dtype] + picture)


def _packing_bytes(shape: ModelShape, quantization: Quantization, hardware: Hardware, dtype: DType) -> int:
    """Memory beside the weights while they are packed: copies of the largest matrices."""
    if reads_stored(quantization, shape.stored_codes, hardware):
        return 0
    if quantization.kernel(hardware) == "bitsandbytes":
        return math.ceil(shape.largest_matrix * PACKING_BYTES[quantization])
    if hardware.kind != "cpu" or (quantization is Quantization.NONE and dtype != "bfloat16"):
        return 0
    joined = SIBLINGS * shape.largest_matrix * BYTES_PER_VALUE[dtype]
    if quantization is Quantization.NONE or shape.stored_dtype == dtype or shape.stored_dtype not in ("float32", GGUF_DTYPE):
        return joined
    # Weights stored in 32 bits, and those of GGUF files, are not read one by one: all are first converted to 16 bits.
    return joined + max(0, shape.parameters * BYTES_PER_VALUE[dtype] - weight_bytes(shape, quantization, hardware, dtype))


def _file_pages(shape: ModelShape, quantization: Quantization, hardware: Hardware, dtype: DType) -> tuple[int, int]:
    """Bytes of the mapped files that were read but are not weights in use: while loading, and afterwards.

    safetensors maps the files. Tensors stored in the compute dtype are used in place and keep the whole mapping; all others, and all
    of a model that is stored quantized, are copied. On a CPU with bfloat16, linear layers are copied too, into the layout of packing.py.
    Weights in integers leave nothing in the files.
    """
    if hardware.kind != "cpu":
        return 0, 0         # the device's memory counts
    if shape.file_bytes or shape.stored_dtype != dtype or quantization.kernel(hardware) == "pytorch":
        return shape.stored_bytes, 0
    is_packed = quantization is not Quantization.NONE or dtype == "bfloat16"
    copied = shape.expert_weights + (shape.linear_weights if is_packed else 0)
    copied += shape.head_weights + shape.vision_weights if is_packed and quantization is Quantization.NONE else 0
    return copied * BYTES_PER_VALUE[dtype], copied * BYTES_PER_VALUE[dtype]


def step_bytes(shape: ModelShape, quantization: Quantization, hardware: Hardware, dtype: DType, cached_tokens: int) -> int:
    """Buffers of one step of prompt processing, with `cached_tokens` in all windows together.

    Activations of one layer: four copies. Keys and values of one layer, gathered from their pages and padded: two copies. One
    dequantized NF4 matrix; PyTorch's kernels for integers need none. On a GPU the SDPA mask: step tokens x cached tokens.
    """
    wide, tokens = BYTES_PER_VALUE[dtype], STEP_TOKENS[hardware.kind]
    activations = tokens * (shape.hidden_size + shape.intermediate_size) * ACTIVATIONS * wide
    read = 2 * kv_cache_bytes(shape, cached_tokens, wide) // max(1, shape.layers)
    unpacked = shape.largest_matrix * wide if quantization is Quantization.NF4 else 0
    mask = tokens * (cached_tokens + tokens) * wide if hardware.kind == "cuda" and shape.kv_heads else 0
    experts = EXPERT_BYTES if shape.expert_weights and hardware.kind == "cpu" else 0
    return activations + read + unpacked + mask + experts


def corrected(fit: Fit, past: Fit, measured_bytes: int) -> Fit:
    """`fit` corrected by the error of `past`, the estimate for the conditions under which `measured_bytes` was measured."""
    error = measured_bytes - past.loaded_bytes
    return replace(fit, runtime_bytes=max(0, fit.runtime_bytes + error), loading_bytes=max(0, fit.loading_bytes + error))
