from pathlib import Path

import pytest

from engine.errors import NotEnoughMemory
from engine.hardware import Hardware
from engine.models.budget import plan_cache
from engine.models.fit import Verdict, judge, kv_cache_bytes, weight_bytes
from engine.models.quantization import Quantization
from engine.models.shape import ModelShape, read_shape

GIB = 2**30
CPU = Hardware("cpu", "test", 1, "bfloat16", "", 64 * GIB, True)
# Llama-2-7B: 6.48e9 weights in linear layers, 0.26e9 in embeddings and head, 32 layers of 32 heads of 128.
LLAMA_7B = ModelShape(6_476_005_376, 262_410_240, 32, 32, 128, "float16", 4096)


def test_cache_of_llama_2_7b_is_half_a_mebibyte_a_token() -> None:
    assert kv_cache_bytes(LLAMA_7B, 1, 2) == 512 * 1024


def test_weights_shrink_as_published() -> None:
    full = weight_bytes(LLAMA_7B, Quantization.NONE, CPU, "bfloat16")
    assert full == pytest.approx(13.48e9, rel=0.01)
    assert weight_bytes(LLAMA_7B, Quantization.INT8, CPU, "bfloat16") / full == pytest.approx(0.52, abs=0.02)
    assert weight_bytes(LLAMA_7B, Quantization.NF4, CPU, "bfloat16") / full == pytest.approx(0.29, abs=0.02)


@pytest.mark.parametrize(("free", "verdict"), [(40, Verdict.FITS), (17, Verdict.TIGHT), (10, Verdict.TOO_LARGE)])
def test_verdicts(free: int, verdict: Verdict) -> None:
    fit = judge(LLAMA_7B, Quantization.NONE, CPU, dtype="bfloat16", context_tokens=4096, concurrent=1, free_bytes=free * GIB)
    assert fit.verdict is verdict
    assert verdict.value in fit.sentence


def plan(free_gib: float) -> object:
    return plan_cache(LLAMA_7B, Quantization.NONE, CPU, dtype="bfloat16", context_tokens=8192, concurrent=8,
                      free_bytes=int(free_gib * GIB), model="llama")


def test_the_cache_is_cut_before_the_window() -> None:
    roomy, middling, narrow = plan(64), plan(20), plan(13.5)
    assert (roomy.window_tokens, roomy.total_tokens) == (4096, 8 * 4096)       # type: ignore[attr-defined]
    assert middling.window_tokens == 4096       # type: ignore[attr-defined]
    assert 4096 <= middling.total_tokens < 8 * 4096     # type: ignore[attr-defined]
    assert 512 <= narrow.window_tokens < 4096       # type: ignore[attr-defined]
    assert "cut" in narrow.reason       # type: ignore[attr-defined]


def test_what_leaves_no_window_is_refused_with_numbers() -> None:
    with pytest.raises(NotEnoughMemory, match=r"GiB.*4-bit"):
        plan(12.8)


def test_the_shape_is_read_from_the_files(llama_folder: Path) -> None:
    import json

    shape = read_shape(llama_folder, json.loads((llama_folder / "config.json").read_text()), "tiny")
    assert (shape.layers, shape.kv_heads, shape.head_dim, shape.stored_dtype, shape.max_window) == (2, 2, 16, "float32", 512)
    assert shape.linear_weights == 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128)
