from dataclasses import replace

import pytest

from engine.checkpoint.shape import ModelShape, shape_of
from engine.errors import NotEnoughMemory
from engine.hardware import Hardware
from engine.models.cache_budget import CacheBudget, largest_window, plan_cache
from engine.models.memory import Fit, Verdict, compute_dtype, corrected, judge, kv_cache_bytes, weight_bytes
from engine.models.quantization import Quantization

GIB = 2**30
CPU = Hardware("cpu", "test", 1, "bfloat16", "", 64 * GIB, True)
GPU = Hardware("cuda", "test", 1, "bfloat16", "", 64 * GIB, True)
# Llama-2-7B: 6.48e9 weights in linear layers, 0.26e9 in embeddings and head, 32 layers of 32 heads of 128.
LLAMA_7B = ModelShape(6_476_005_376, 262_410_240, 32, 32, 128, "float16", 4096, hidden_size=4096, intermediate_size=11008,
                      table_weights=131_072_000, head_weights=131_072_000, largest_matrix=11008 * 4096)


def fit_of(shape: ModelShape = LLAMA_7B, quantization: Quantization = Quantization.NONE, *, free_gib: float = 64,
           context: int = 4096, hardware: Hardware = CPU) -> Fit:
    return judge(shape, quantization, hardware, dtype=compute_dtype(shape, quantization, hardware), context_tokens=context, concurrent=1,
                 free_bytes=int(free_gib * GIB))


def test_cache_of_llama_2_7b_is_half_a_mebibyte_a_token() -> None:
    assert kv_cache_bytes(LLAMA_7B, 1, 2) == 512 * 1024


def test_weights_shrink_as_published() -> None:
    full = weight_bytes(LLAMA_7B, Quantization.NONE, CPU, "bfloat16")
    assert full == pytest.approx(13.48e9, rel=0.01)
    assert weight_bytes(LLAMA_7B, Quantization.INT8, CPU, "bfloat16") / full == pytest.approx(0.52, abs=0.02)
    assert weight_bytes(LLAMA_7B, Quantization.NF4, CPU, "bfloat16") / full == pytest.approx(0.29, abs=0.02)


def test_integers_are_counted_exactly_with_their_head_in_8_bits() -> None:
    linear, table = LLAMA_7B.linear_weights, LLAMA_7B.table_weights
    rest = LLAMA_7B.other_weights - LLAMA_7B.head_weights
    untied = replace(LLAMA_7B, vocab_size=32_000)
    assert weight_bytes(untied, Quantization.INT4, CPU, "bfloat16") == linear * 5 / 8 + 2 * rest + table + 2 * 32_000
    tied = replace(untied, head_weights=0, other_weights=rest)
    assert weight_bytes(tied, Quantization.INT4, CPU, "bfloat16") == linear * 5 / 8 + 2 * rest + table + 2 * 32_000
    assert weight_bytes(tied, Quantization.INT8, CPU, "float32") == linear + 4 * rest + table + 2 * 32_000


@pytest.mark.parametrize(("free", "verdict"), [(40, Verdict.FITS), (17, Verdict.TIGHT), (10, Verdict.TOO_LARGE)])
def test_verdicts(free: int, verdict: Verdict) -> None:
    fit = fit_of(free_gib=free)
    assert fit.verdict is verdict
    assert verdict.value in fit.sentence


def test_file_pages_count_in_the_total_but_need_not_be_free() -> None:
    fit = fit_of()
    assert fit.load_peak_bytes > fit.weight_bytes + LLAMA_7B.stored_bytes
    assert fit.total_bytes > fit.needed_bytes
    assert fit_of(hardware=GPU).page_bytes == 0


def test_weights_that_are_used_where_they_are_mapped_count_once() -> None:
    exact = replace(LLAMA_7B, stored_dtype="float32")
    assert fit_of(exact).page_bytes == 0
    assert fit_of(exact, Quantization.NF4).page_bytes == exact.stored_bytes


def test_integers_keep_no_file_pages_and_need_little_more_than_their_weights() -> None:
    for quantization in (Quantization.INT8, Quantization.INT4):
        fit = fit_of(replace(LLAMA_7B, stored_dtype="bfloat16"), quantization)
        assert fit.kept_page_bytes == 0
        assert fit.loading_bytes - fit.weight_bytes < 300_000_000
    converted = fit_of(replace(LLAMA_7B, stored_dtype="float32"), Quantization.INT4)
    assert converted.weight_bytes + converted.loading_bytes > LLAMA_7B.parameters * 2      # all in 16 bits first


def test_packing_the_largest_matrix_is_part_of_the_load_peak() -> None:
    small = replace(LLAMA_7B, largest_matrix=0)
    added = fit_of(quantization=Quantization.NF4).load_peak_bytes - fit_of(small, Quantization.NF4).load_peak_bytes
    assert added > 10 * LLAMA_7B.largest_matrix


def plan(free_gib: float, shape: ModelShape = LLAMA_7B, quantization: Quantization = Quantization.NONE) -> CacheBudget:
    return plan_cache(shape, quantization, CPU, dtype="bfloat16", context_tokens=8192, concurrent=8, free_bytes=int(free_gib * GIB),
                      model="llama")


def test_the_cache_is_cut_before_the_window() -> None:
    roomy, middling, narrow = plan(64), plan(20), plan(14)
    assert (roomy.window_tokens, roomy.total_tokens) == (4096, 8 * 4096)
    assert middling.window_tokens == 4096
    assert 4096 <= middling.total_tokens < 8 * 4096
    assert 512 <= narrow.window_tokens < 4096
    assert "cut" in narrow.reason


def test_weights_that_leave_no_window_are_refused_with_numbers() -> None:
    with pytest.raises(NotEnoughMemory, match=r"GiB.*4-bit"):
        plan(12.8)


def test_a_model_that_fits_once_loaded_but_not_while_loading_is_refused() -> None:
    bulky = replace(LLAMA_7B, largest_matrix=10**9)       # 14.5 GB while it is packed
    assert plan(20, quantization=Quantization.NF4).window_tokens == 4096
    with pytest.raises(NotEnoughMemory, match="smaller model"):
        plan(10, bulky, Quantization.NF4)


def test_the_largest_window_fits_and_one_token_more_does_not() -> None:
    free = 14 * GIB
    window = largest_window(LLAMA_7B, Quantization.NONE, CPU, dtype="bfloat16", concurrent=1, free_bytes=free)
    assert 512 < window < 4096
    assert fit_of(free_gib=14, context=window).needed_bytes <= free < fit_of(free_gib=14, context=window + 1).needed_bytes


def test_a_window_of_any_number_can_be_planned() -> None:
    for tokens in (2**63, 2**70):
        endless = replace(LLAMA_7B, max_window=tokens)
        assert largest_window(endless, Quantization.NONE, CPU, dtype="bfloat16", concurrent=1, free_bytes=20 * GIB) > 0


def test_no_window_fits_where_the_weights_do_not() -> None:
    assert largest_window(LLAMA_7B, Quantization.NONE, CPU, dtype="bfloat16", concurrent=1, free_bytes=GIB) == 0


@pytest.mark.parametrize("error", [-100_000_000, 300_000_000])
def test_a_measured_peak_corrects_another_context(error: int) -> None:
    past, other = fit_of(quantization=Quantization.NF4, context=512), fit_of(quantization=Quantization.NF4, context=4096)
    better = corrected(other, past, past.loaded_bytes + error)
    assert better.total_bytes - other.total_bytes == error
    assert better.needed_bytes - other.needed_bytes == error
    assert corrected(past, past, past.loaded_bytes + error).loaded_bytes == past.loaded_bytes + error


def test_a_recurrent_model_has_no_cache() -> None:
    shape = shape_of({"hidden_size": 64, "num_hidden_layers": 2}, [("backbone.layers.0.mixer.in_proj.weight", [256, 64], "F32")])
    assert kv_cache_bytes(shape, 4096, 2) == 0


def test_a_token_reads_a_row_of_the_table_and_its_own_experts() -> None:
    assert LLAMA_7B.weights_per_token == (6_476_005_376, 131_338_240)
    sparse = replace(LLAMA_7B, other_weights=1000, table_weights=0, head_weights=0, expert_weights=800, expert_share=0.25)
    assert sparse.weights_per_token[1] == 400


def test_states_count_for_each_reply_and_its_snapshots_and_not_for_its_length() -> None:
    hybrid = replace(LLAMA_7B, cache_values=1000, state_values=5_000_000)
    short, long = fit_of(hybrid, context=100), fit_of(hybrid, context=1100)
    assert short.kv_bytes == 100 * 1000 * 2 + 3 * 5_000_000 * 4
    assert long.kv_bytes - short.kv_bytes == 1000 * 1000 * 2


def test_the_cache_is_planned_beside_the_states() -> None:
    hybrid = replace(LLAMA_7B, max_window=100_000, state_values=50_000_000)
    free = fit_of(hybrid).weight_bytes + 20 * GIB
    plain, beside = (plan_cache(shape, Quantization.NONE, CPU, dtype="bfloat16", context_tokens=100_000, concurrent=2, free_bytes=free,
                                model="m") for shape in (replace(hybrid, state_values=0), hybrid))
    token = kv_cache_bytes(LLAMA_7B, 1, 2)
    assert plain.total_tokens - beside.total_tokens == pytest.approx(2 * 3 * 50_000_000 * 4 / token, abs=1)
