"""Whether the tensors of weights that are stored quantized have the shapes that their method stores, told by the headers of the files.

Of compressed-tensors' `weight_shape` the two numbers are read that it consists of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .files import weight_files
from .stored_quantization import (
    FLOATS,
    METHODS,
    NOTHING_STATED,
    SCALES,
    Stated,
    StoredQuantization,
    Tensor,
    expanded,
    packed_columns,
    packed_weights,
)

Sizes = Mapping[str, Sequence[int]]     # the shapes of the tensors of one weight, by what follows the base of their names
MOST_CODES = {".weight.quant_map": 16, ".weight.nested_quant_map": 256}     # tables of bitsandbytes: a value for each code


def stated_shapes(folder: Path, tensors: Iterable[Tensor], stored: StoredQuantization) -> Stated:
    """What the tensors `weight_shape` of a folder's files state, whose headers were read."""
    from safetensors import safe_open

    wanted = {name for name, shape, dtype in tensors if stored.layout == "packed" and name.endswith(".weight_shape")
              and list(shape) == [2] and dtype in ("I64", "I32")}
    found = {}
    for path in weight_files(folder) if wanted else ():
        with safe_open(path, framework="numpy") as file:
            found.update({name: [int(size) for size in file.get_tensor(name)] for name in wanted.intersection(file.keys())})
    return found


def unreadable(tensors: Iterable[Tensor], stored: StoredQuantization, stated: Stated = NOTHING_STATED) -> str:
    """Return why the tensors are not those that the method stores, as a sentence, or ""."""
    tensors = list(tensors)
    sizes = {name: shape for name, shape, _ in tensors}
    found, sizes = packed_weights(sizes, stored), {**sizes, **stated}
    if not found:
        return f"its config.json says that its weights are stored in {stored.name}, but its files hold no such weights."
    for name, parts in found.items():
        shapes = {suffix: sizes[part] for suffix, part in parts.items()}
        if not fits(shapes, stored):
            written = ", ".join(f"{suffix.lstrip('._')} {list(shape)}" for suffix, shape in shapes.items())
            return f"the tensors of {name} have shapes that do not fit each other in {stored.name}: {written[:300]}."
    for name, shape, dtype in expanded(tensors, stored, stated):
        if dtype not in FLOATS and len(shape) > 1:
            return f"{name} is stored as {dtype} without the scales of {METHODS[stored.method]}."
        if stored.method == "awq" and name.endswith(".scales"):     # AutoAWQ's ScaledActivation, which changes the model itself
            return f"{name} scales an activation, which transformers does for few families."
    return ""


def fits(sizes: Sizes, stored: StoredQuantization) -> bool:
    """Whether the tensors of one weight fit each other, as engine/models/stored_weights.py reads them."""
    match stored.layout:
        case "gptq":
            return _fits_gptq(sizes, stored.bits)
        case "awq":
            return _fits_awq(sizes)
        case "packed":
            return _fits_packed(sizes, stored)
        case "mxfp4":
            return len(sizes["_blocks"]) == 4 and list(sizes["_blocks"][:3]) == list(sizes["_scales"])
        case "bnb4":
            return all(math.prod(sizes[suffix]) == most for suffix, most in MOST_CODES.items() if suffix in sizes)
        case "bnb8":
            return len(sizes[".weight"]) == 2 and math.prod(sizes[".SCB"]) == sizes[".weight"][0]
        case _:
            scales = next(sizes[suffix] for suffix in SCALES if suffix in sizes)
            zeros = sizes.get(".weight_zero_point", scales)
            return scale_block(sizes[".weight"], scales, stored.block) is not None and math.prod(zeros) == math.prod(scales)


def scale_block(shape: Sequence[int], scales: Sequence[int], block: tuple[int, int] | None) -> tuple[int, int] | None:
    """Rows and columns of a weight of this shape (out, in) that share a scale; None if so many scales do not fit it.

    `scales`: their shape: () or (1,) or (1, 1) for all, (out,) or (out, 1) for rows, otherwise for blocks of the size `block`. Without
    one, a row has groups of equal size.
    """
    if len(shape) != 2 or not all(shape):
        return None
    out, into = shape
    match list(scales):
        case [] | [1] | [1, 1]:
            return out, into
        case [rows] | [rows, 1] if rows == out:
            return 1, into
        case [rows, columns] if block is not None:
            return block if (rows, columns) == (-(-out // block[0]), -(-into // block[1])) else None
        case [rows, columns] if rows == out and columns and into % columns == 0:
            return 1, into // columns
    return None


def _fits_gptq(sizes: Sizes, bits: int) -> bool:
    codes, scales, zeros = sizes[".qweight"], sizes[".scales"], sizes[".qzeros"]
    if not len(codes) == len(scales) == len(zeros) == 2:
        return False
    into, (groups, out) = codes[0] * 32 // bits, scales
    regular = groups > 0 and into % groups == 0
    return (out == codes[1] and list(zeros) == [groups, -(-out * bits // 32)]
            and (list(sizes[".g_idx"]) == [into] if ".g_idx" in sizes else regular))


def _fits_awq(sizes: Sizes) -> bool:
    codes, scales, zeros = sizes[".qweight"], sizes[".scales"], sizes[".qzeros"]
    if not len(codes) == len(scales) == len(zeros) == 2:
        return False
    groups, out = scales
    return groups > 0 and codes[0] % groups == 0 and out == codes[1] * 8 and list(zeros) == [groups, codes[1]]


def _fits_packed(sizes: Sizes, stored: StoredQuantization) -> bool:
    codes, scales = sizes[".weight_packed"], sizes[".weight_scale"]
    if not len(codes) == len(scales) == 2 or codes[0] != scales[0]:
        return False
    out, groups = scales
    into = packed_columns(sizes, stored)
    zeros, order = sizes.get(".weight_zero_point"), sizes.get(".weight_g_idx")
    return (groups > 0 and into > 0 and into % groups == 0 and codes[1] == -(-into * stored.bits // 32)
            and zeros in (None, [-(-out * stored.bits // 32), groups]) and order in (None, [into]))
