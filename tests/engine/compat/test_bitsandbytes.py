"""The internals of bitsandbytes that engine/compat uses still exist. If a test fails, read the new version's source."""

from __future__ import annotations

import inspect

import pytest

from engine.compat.bitsandbytes import packs_rows_on_cpu

functional = pytest.importorskip("bitsandbytes.functional")


def test_rows_are_packed_on_cpus_with_avx512_bf16() -> None:
    assert packs_rows_on_cpu() is bool(functional.has_avx512bf16())


def test_rows_are_packed_in_these_blocks() -> None:
    source = inspect.getsource(functional._convert_weight_packed_for_cpu)
    assert "block_n: int = 32" in source
    assert "N % block_n == 0" in source
    assert "K % 2 == 0" in source
