"""Weights that a repository stores quantized: which methods can be read, and how they name the tensors of a weight. No tensor is read here.

METHODS is the only list of the methods: the checks before a load, the estimates, the catalog and docs/quantized.md follow it.
engine/models/stored_weights.py expands the weights. It needs none of the packages that made them, and runs on every device.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Tensor = tuple[str, list[int], str]                     # name, shape, dtype as the header spells it
Stated = Mapping[str, list[int]]                        # by the names of tensors `weight_shape`: rows and columns that they state
NOTHING_STATED: Stated = {}
LayoutName = Literal["gptq", "awq", "packed", "scaled", "mxfp4", "bnb4", "bnb8"]

# Names of the methods as they are usually written. Those in METHODS can be read, the others are named when they are refused.
METHODS = {"gptq": "GPTQ", "awq": "AWQ", "compressed-tensors": "compressed-tensors", "fp8": "FP8", "fbgemm_fp8": "FP8", "mxfp8": "MXFP8",
           "mxfp4": "MXFP4", "bitsandbytes": "bitsandbytes"}
OTHERS = {"aqlm": "AQLM", "hqq": "HQQ", "quanto": "Quanto", "vptq": "VPTQ", "spqr": "SpQR", "eetq": "EETQ", "higgs": "HIGGS",
          "torchao": "TorchAO", "bitnet": "BitNet", "nvfp4": "NVFP4", "auto-round": "AutoRound", "quark": "Quark"}
WIDTHS = (2, 4, 8)      # bits of a code: those of which a word of 32 bits holds a whole number
INT4_GROUP = 32         # the kernel for 4 bits reads a scale for each 32 weights of a row (engine/models/rounding.py)
GPTQ_FORMATS = {"gptq": 1, "gptq_v2": 0}        # the first version stores each zero point less one (AutoGPTQ)
AWQ_VERSION = "gemm"    # the only layout of AutoAWQ that is published
PACKED = "pack-quantized"
SCALED = ("int-quantized", "float-quantized", "naive-quantized")
DENSE = ("", "dense")   # formats of compressed-tensors' sparsity that leave nothing out
STORED_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
FLOATS = ("F64", "F32", "F16", "BF16")
FP8_BLOCK = (128, 128)  # without `weight_block_size` (transformers' FineGrainedFP8Config, DeepSeek-V3)
LARGEST_SIDE = 2**20    # of a block: more than a matrix has
SCALES = (".weight_scale_inv", ".weight_scale", ".scale")


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of the tensors of one weight: `codes`, what the expanded weight is called, and what stands beside it.

    `needs`: of each group of names, one must be there.
    """

    codes: str
    target: str
    needs: tuple[tuple[str, ...], ...]
    beside: tuple[str, ...] = ()


NESTED = (".weight.nested_absmax", ".weight.nested_quant_map")
STATES = (".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4")
LAYOUTS: dict[LayoutName, Layout] = {
    "gptq": Layout(".qweight", ".weight", ((".scales",), (".qzeros",)), (".g_idx",)),
    "awq": Layout(".qweight", ".weight", ((".scales",), (".qzeros",))),
    "packed": Layout(".weight_packed", ".weight", ((".weight_scale",),), (".weight_shape", ".weight_zero_point", ".weight_g_idx")),
    "scaled": Layout(".weight", ".weight", (SCALES,), (".weight_zero_point", ".activation_scale", ".input_scale")),
    "mxfp4": Layout("_blocks", "", (("_scales",),)),
    "bnb4": Layout(".weight", ".weight", ((".weight.absmax",), (".weight.quant_map",), STATES), NESTED),
    "bnb8": Layout(".weight", ".weight", ((".SCB",),), (".weight_format",))}


@dataclass(frozen=True, slots=True)
class StoredQuantization:
    """How the weights of a repository are stored.

    `codes`: the quantization (engine/models/quantization.py) whose codes the files hold, so that nothing has to be rounded for it; "" if
    there is none. `zero_less`: what zero points are stored less than they are. `block`: rows and columns that share a scale.
    `group_size`: columns that share one; 0 for whole rows.
    """

    method: str
    layout: LayoutName
    bits: int
    codes: str = ""
    group_size: int = 0
    zero_less: int = 0
    block: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """For people: "GPTQ, 4 bits"."""
        return METHODS[self.method] + (f", {self.bits} bits" if self.layout in ("gptq", "awq", "packed", "bnb4", "bnb8") else "")


def stored_quantization(config: Mapping[str, Any]) -> StoredQuantization | None:
    """How a model with this config.json stores its weights; None if they are not quantized, or cannot be read (`obstacle`)."""
    found = _parsed(config)
    return found if isinstance(found, StoredQuantization) else None


def obstacle(config: Mapping[str, Any]) -> str:
    """Return why the stored weights cannot be read, as a sentence, or ""."""
    found = _parsed(config)
    return found if isinstance(found, str) else ""


def quantization_config(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part of a config.json that says how its weights are stored, or None. Some families write it into their text part."""
    inner = config.get("text_config")
    stored = config.get("quantization_config") or (inner.get("quantization_config") if isinstance(inner, Mapping) else None)
    return (stored if isinstance(stored, Mapping) else {}) if stored else None


def packed_weights(names: Collection[str], stored: StoredQuantization) -> dict[str, dict[str, str]]:
    """The weights that are stored quantized, by the name of the expanded weight: the names of their tensors, by what follows the base."""
    known, layout, found = frozenset(names), LAYOUTS[stored.layout], {}
    for name in names:
        base = name.removesuffix(layout.codes)
        if base == name:
            continue
        parts = {suffix: base + suffix for suffix in (layout.codes, *sum(layout.needs, ()), *layout.beside) if base + suffix in known}
        if all(any(suffix in parts for suffix in group) for group in layout.needs):
            found[base + layout.target] = parts
    return found


def expanded(tensors: Iterable[Tensor], stored: StoredQuantization, stated: Stated = NOTHING_STATED) -> list[Tensor]:
    """The tensors of the model after its weights are expanded. A weight of bitsandbytes in 4 bits is flat: its shape is in no header.

    Without `stated`, the columns of packed rows are counted with those that fill the last word.
    """
    tensors = list(tensors)
    sizes, dtypes = {name: shape for name, shape, _ in tensors}, {name: dtype for name, _, dtype in tensors}
    found, codes = packed_weights(sizes, stored), LAYOUTS[stored.layout].codes
    used = {name for parts in found.values() for name in parts.values()}
    plain = [tensor for tensor in tensors if tensor[0] not in used]
    sizes |= stated
    return plain + [(name, _expanded_shape(stored, {suffix: sizes[part] for suffix, part in parts.items()}, dtypes[parts[codes]]), "BF16")
                    for name, parts in found.items()]


def packed_columns(sizes: Mapping[str, Sequence[int]], stored: StoredQuantization) -> int:
    """Columns of a weight of compressed-tensors' `pack-quantized`. The last word of a row may be filled up: the groups of columns tell how
    far, and where a row has one scale, `.weight_shape`, if `sizes` has what that states.
    """
    if stored.group_size:
        return sizes[".weight_scale"][-1] * stored.group_size
    shape = sizes.get(".weight_shape", ())
    return shape[1] if len(shape) == 2 else sizes[".weight_packed"][1] * 32 // stored.bits


def file_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(math.prod(shape) * STORED_BYTES.get(dtype, 1) for _, shape, dtype in tensors)


def _parsed(config: Mapping[str, Any]) -> StoredQuantization | str | None:
    raw = quantization_config(config)
    if raw is None:
        return None
    method = str(raw.get("quant_method") or ("bitsandbytes" if "load_in_4bit" in raw or "load_in_8bit" in raw else "an unknown format"))
    try:
        found: StoredQuantization | str = READERS[method.lower()](raw) if method.lower() in READERS else ""
    except (TypeError, ValueError, KeyError, AttributeError):
        found = "with settings that make no sense"
    if isinstance(found, StoredQuantization):
        return found
    name = METHODS.get(method.lower()) or OTHERS.get(method.lower()) or method[:40]
    return (f"it is stored quantized ({name}{f' {found}' if found else ''}), which cannot be read here. "
            "The original model can be loaded, and quantized here to 8 or 4 bits.")


def _gptq(raw: Mapping[str, Any]) -> StoredQuantization | str:
    bits, group, form = int(raw["bits"]), max(0, int(raw.get("group_size", 0))), str(raw.get("checkpoint_format") or "gptq")
    if bits not in WIDTHS:
        return f"in {bits} bits"
    if form not in GPTQ_FORMATS:
        return f"in the format {form[:40]}"
    if any(str(pattern)[:1] != "-" for pattern in raw.get("dynamic") or ()):     # "-:" leaves layers out, others change their bits
        return "with different bits in different layers"
    is_kept = bits == 4 and group % INT4_GROUP == 0 and not raw.get("desc_act")
    return StoredQuantization("gptq", "gptq", bits, "int4" if is_kept else "", group, zero_less=GPTQ_FORMATS[form])


def _awq(raw: Mapping[str, Any]) -> StoredQuantization | str:
    bits, group = int(raw.get("bits", raw.get("w_bit", 0))), max(0, int(raw.get("group_size", raw.get("q_group_size", 0))))
    version = str(raw.get("version") or AWQ_VERSION).lower()
    if bits != 4 or version != AWQ_VERSION:
        return f"in {bits} bits" if bits != 4 else f"in the layout {version[:40]}"
    return StoredQuantization("awq", "awq", bits, "int4" if group % INT4_GROUP == 0 else "", group)


def _compressed_tensors(raw: Mapping[str, Any]) -> StoredQuantization | str:
    sparsity = str((raw.get("sparsity_config") or {}).get("format") or "")
    groups = [group for group in (raw.get("config_groups") or {}).values() if group.get("weights")]
    formats, weights = {str(group.get("format") or raw.get("format")) for group in groups}, [group["weights"] for group in groups]
    if sparsity not in DENSE or not groups or not (formats == {PACKED} or formats <= set(SCALED)):
        return f"in the format {sparsity if sparsity not in DENSE else ' and '.join(sorted(formats)) or raw.get('format')}"
    if formats <= set(SCALED):
        return StoredQuantization("compressed-tensors", "scaled", 8, block=_block(weights[0].get("block_structure")))
    if len({(each["num_bits"], each.get("group_size")) for each in weights}) > 1:
        return "with different bits in different layers"
    bits, group = int(weights[0]["num_bits"]), max(0, int(weights[0].get("group_size") or 0))
    if bits not in WIDTHS:
        return f"in {bits} bits"
    is_kept = bits == 4 and group % INT4_GROUP == 0 and all(each.get("actorder") != "group" for each in weights)
    return StoredQuantization("compressed-tensors", "packed", bits, "int4" if is_kept else "", group)


def _fp8(raw: Mapping[str, Any]) -> StoredQuantization | str:
    method = str(raw["quant_method"]).lower()
    usual = FP8_BLOCK if method == "fp8" else None
    return StoredQuantization(method, "scaled", 8, block=_block(raw.get("weight_block_size", usual)))


def _block(written: Any) -> tuple[int, int] | None:
    """Rows and columns of a block, written as two numbers or, by compressed-tensors, as "128x128". Raises ValueError."""
    if not written:
        return None
    rows, columns = written.lower().split("x") if isinstance(written, str) else written
    block = int(rows), int(columns)
    if not all(0 < side <= LARGEST_SIDE for side in block):
        raise ValueError("a block of this size")
    return block


def _mxfp4(raw: Mapping[str, Any]) -> StoredQuantization | str:
    return StoredQuantization("mxfp4", "mxfp4", 4)


def _bitsandbytes(raw: Mapping[str, Any]) -> StoredQuantization | str:
    if raw.get("load_in_4bit"):
        return StoredQuantization("bitsandbytes", "bnb4", 4, "nf4")
    return StoredQuantization("bitsandbytes", "bnb8", 8, "int8") if raw.get("load_in_8bit") else "in neither 4 nor 8 bits"


READERS = {"gptq": _gptq, "awq": _awq, "compressed-tensors": _compressed_tensors, "fp8": _fp8, "fbgemm_fp8": _fp8, "mxfp8": _fp8,
           "mxfp4": _mxfp4, "bitsandbytes": _bitsandbytes}


def _expanded_shape(stored: StoredQuantization, sizes: Mapping[str, list[int]], dtype: str) -> list[int]:
    codes = sizes[LAYOUTS[stored.layout].codes]
    per_word = 32 // stored.bits
    match stored.layout:
        case "gptq":
            return [codes[1], codes[0] * per_word]
        case "awq":
            return [codes[1] * per_word, codes[0]]
        case "packed":
            return [codes[0], packed_columns(sizes, stored)]
        case "mxfp4":       # rows and columns are exchanged: blocks of 32 columns, two values in a byte
            return [codes[0], codes[2] * 2 * codes[3], codes[1]]
        case "bnb4":        # two codes in a byte, in numbers of the dtype `bnb_4bit_quant_storage`
            return [2 * STORED_BYTES.get(dtype, 1) * math.prod(codes), 1]
        case _:
            return codes
