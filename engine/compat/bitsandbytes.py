"""Undocumented parts of bitsandbytes that the engine uses, with the reason. tests/engine/compat checks them."""

from __future__ import annotations


def packs_rows_on_cpu() -> bool:
    """Whether NF4 layers are repacked on this processor, in blocks of 32 rows and 2 columns; other sizes fail an assertion there.

    bitsandbytes 0.50, `_convert_weight_packed_for_cpu`: done where the processor has AVX-512 BF16. No public function returns it.
    """
    from bitsandbytes.functional import has_avx512bf16

    return bool(has_avx512bf16())
