from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.hardware import Hardware
from engine.messages import GenerationOptions, Thinking
from engine.models.author_defaults import for_effort
from engine.models.catalog import (
    CatalogEntry,
    Recommendation,
    Sampling,
    catalog,
    default_choice,
    entry_of,
    parse_catalog,
    recommend,
    smaller_sibling,
)
from engine.models.memory import Verdict
from engine.models.quantization import Quantization

GIB = 2**30
ALL = (Quantization.INT8, Quantization.NF4)      # what bitsandbytes does on GPUs
GUIDE = ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "stabilityai/stablelm-2-1_6b", "microsoft/phi-2", "Salesforce/codegen-2B-mono",
         "codellama/CodeLlama-7b-Instruct-hf", "meta-llama/Llama-2-7b-chat-hf", "mistralai/Mistral-7B-Instruct-v0.2",
         "bigcode/starcoder")
MODEL = """
["maker/model"]
about = {name = "Model", parameters = 100, released = "2025-01", licence = "mit", gated = false, current = true}
use = {context = 512, chat_template = true, good_for = ["chat"], languages = ["en"]}
architecture = {layers = 1, hidden_size = 2, intermediate_size = 4, heads = 1, kv_heads = 1, \
head_dim = 2, vocab_size = 8, tied_embeddings = true}
"""


def cuda(memory_gib: int) -> Hardware:
    return Hardware("cuda", "test GPU", 1, "bfloat16", "", memory_gib * GIB, True)


def cpu(memory_gib: int) -> Hardware:
    return replace(cuda(memory_gib), kind="cpu", name="test CPU")


def recommended(hardware: Hardware, supported: Sequence[Quantization] = ALL) -> tuple[Recommendation, ...]:
    return recommend(hardware, hardware.total_bytes, supported=supported)


def test_there_are_enough_models_to_choose_from() -> None:
    assert len(catalog()) >= 34


@pytest.mark.parametrize("repo", GUIDE)
def test_every_model_of_the_guide_is_in_the_catalog(repo: str) -> None:
    assert entry_of(repo) is not None


def test_an_unknown_model_has_no_entry_and_no_sibling() -> None:
    assert entry_of("nobody/nothing") is None
    assert smaller_sibling("nobody/nothing") is None


@pytest.mark.parametrize("entry", catalog(), ids=lambda entry: entry.repo)
def test_the_architecture_explains_the_number_of_parameters(entry: CatalogEntry) -> None:
    assert entry.shape.parameters == pytest.approx(entry.parameters, rel=0.001)


@pytest.mark.parametrize("entry", catalog(), ids=lambda entry: entry.repo)
def test_heads_are_shared_evenly(entry: CatalogEntry) -> None:
    assert entry.architecture.heads % entry.architecture.kv_heads == 0


def test_a_gated_model_is_marked() -> None:
    owners = ("meta-llama/", "google/gemma", "bigcode/")
    assert {entry.repo for entry in catalog() if entry.gated} == {entry.repo for entry in catalog() if entry.repo.startswith(owners)}


def test_an_entry_with_pickled_weights_says_so_in_its_note() -> None:
    entry = entry_of("Salesforce/codegen-2B-mono")
    assert entry is not None
    assert not entry.safetensors
    assert "pickled" in entry.note


@pytest.mark.parametrize("language", ["tr", "zh"])
def test_some_current_small_model_replies(language: str) -> None:
    assert any(language in entry.languages for entry in catalog() if entry.current and entry.parameters < 2e9)


def test_siblings_lead_down_to_the_smallest_of_the_family() -> None:
    found = []
    entry = entry_of("Qwen/Qwen3-14B")
    while entry:
        found.append(entry.repo)
        entry = smaller_sibling(entry.repo)
    assert found == ["Qwen/Qwen3-14B", "Qwen/Qwen3-8B", "Qwen/Qwen3-4B", "Qwen/Qwen3-1.7B", "Qwen/Qwen3-0.6B"]


@pytest.mark.parametrize(("memory_gib", "smallest", "largest", "quantization"), [
    (3.9, 1e9, 2e9, "nf4"), (4, 2e9, 7e9, "nf4"), (7.9, 2e9, 7e9, "nf4"), (8, 7e9, 13e9, "int8"), (16, 7e9, 13e9, "int8"),
    (24, 13e9, float("inf"), "none")])
def test_the_default_choice_follows_the_guides_table(memory_gib: float, smallest: float, largest: float, quantization: str) -> None:
    advice = default_choice(int(memory_gib * GIB))
    assert (advice.min_parameters, advice.max_parameters, advice.quantization) == (smallest, largest, quantization)


def test_size_advice_counts_parameters_as_model_names_do() -> None:
    advice = default_choice(6 * GIB)        # 2 to 7 B
    assert advice.includes(7.6e9)           # Qwen2.5-7B
    assert not advice.includes(8.2e9)       # Qwen3-8B


@pytest.mark.parametrize("hardware", [cuda(2), cuda(4), cuda(8), cuda(24), cuda(80), cpu(2), cpu(8), cpu(64)],
                         ids=lambda hardware: f"{hardware.kind} {hardware.total_bytes // GIB}")
def test_no_model_that_is_too_large_ranks_above_one_that_fits(hardware: Hardware) -> None:
    found = recommended(hardware)
    too_large = [choice.fit.verdict is Verdict.TOO_LARGE for choice in found]
    assert too_large == sorted(too_large)
    assert {choice.entry for choice in found} == set(catalog())


@pytest.mark.parametrize(("hardware", "smallest", "largest"), [
    (cuda(4), 2e9, 7e9), (cuda(8), 6.5e9, 13e9), (cuda(24), 13e9, 40e9), (cuda(80), 13e9, 40e9),
    (cpu(8), 1e9, 4.5e9), (cpu(64), 1e9, 4.5e9)])
def test_the_first_recommendation_is_a_current_open_chat_model_of_the_right_size(
        hardware: Hardware, smallest: float, largest: float) -> None:
    first = recommended(hardware)[0]
    assert first.fit.verdict is Verdict.FITS
    assert first.entry.current
    assert not first.entry.gated
    assert first.entry.chat_template
    assert "chat" in first.entry.good_for
    assert smallest <= first.entry.parameters <= largest


def test_a_cpu_gets_a_fast_model_first_however_much_memory_it_has() -> None:
    first = recommended(cpu(64))[0]
    assert first.quantization is Quantization.NONE
    assert first.entry.parameters < 2e9


def test_a_tiny_model_does_not_rank_above_a_small_capable_one_on_a_cpu() -> None:
    order = [choice.entry.repo for choice in recommended(cpu(16))]
    assert order.index("Qwen/Qwen3-4B-Instruct-2507") < order.index("HuggingFaceTB/SmolLM2-135M-Instruct")


def test_a_cpu_without_16_bit_arithmetic_gets_a_smaller_model() -> None:
    wide = replace(cpu(64), dtype="float32")
    assert recommended(wide)[0].entry.parameters < recommended(cpu(64))[0].entry.parameters


def test_models_larger_than_4_b_rank_below_those_that_suit_a_cpu() -> None:
    fitting = [choice.entry.parameters > 4.5e9 for choice in recommended(cpu(64))
               if choice.fit.verdict is Verdict.FITS and choice.entry.safetensors]
    assert fitting == sorted(fitting)


def test_a_model_that_fits_comfortably_is_not_quantized() -> None:
    assert all(choice.quantization is Quantization.NONE for choice in recommended(cuda(640)))


def test_the_weakest_quantization_that_fits_is_chosen() -> None:
    def chosen(memory_gib: int) -> Quantization:
        return next(choice.quantization for choice in recommended(cuda(memory_gib)) if choice.entry.repo == "Qwen/Qwen3-8B")

    assert [chosen(24), chosen(14), chosen(10)] == ["none", "int8", "nf4"]


def test_only_supported_quantizations_are_recommended() -> None:
    assert {choice.quantization for choice in recommended(cuda(8), ())} == {Quantization.NONE}
    assert {choice.quantization for choice in recommended(cuda(8), (Quantization.NF4,))} == {Quantization.NONE, Quantization.NF4}


def test_a_longer_context_and_more_visitors_leave_room_for_less() -> None:
    def fitting(context_tokens: int, concurrent: int) -> int:
        found = recommend(cuda(8), 8 * GIB, context_tokens=context_tokens, concurrent=concurrent, supported=ALL)
        return sum(choice.fit.verdict is Verdict.FITS for choice in found)

    assert fitting(4096, 1) > fitting(4096, 8)
    assert fitting(4096, 1) > fitting(32_768, 1)


def test_models_that_cannot_be_loaded_safely_rank_below_all_that_can() -> None:
    usable = [choice.entry.safetensors for choice in recommended(cuda(640))]
    assert usable == sorted(usable, reverse=True)


def test_a_table_is_read_as_written() -> None:
    entry, = parse_catalog(MODEL)
    assert (entry.repo, entry.context, entry.good_for, entry.stored_dtype) == ("maker/model", 512, ("chat",), "bfloat16")
    assert (entry.shape.linear_weights, entry.shape.max_window) == (4 * 4 + 3 * 8, 512)
    assert entry.shape.other_weights == 8 * 2 + 3 * 2


@pytest.mark.parametrize(("old", "new", "complaint"), [
    ("layers = 1", "layerz = 1", "unknown field layerz"),
    ("gated = false, ", "", "missing field gated"),
    ("gated = false", "gated = false, colour = 3", "unknown field colour"),
    ("layers = 1", "layers = 1.5", "layers is 1.5, which is not of type int"),
    ("parameters = 100", 'parameters = "100"', "parameters is '100', which is not of type int"),
    ('["chat"]', '["chess"]', "good_for is 'chess', which is not one of chat, code, reasoning"),
    ("heads = 1, kv", 'mlp = "flat", heads = 1, kv', "mlp is 'flat'"),
    ("use =", 'sibling = "maker/model"\nuse =', "not a smaller model of the catalog")])
def test_a_mistake_is_refused_by_name(old: str, new: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"maker/model: .*{complaint}"):
        parse_catalog(MODEL.replace(old, new, 1))


def test_sampling_without_thoughts_is_that_of_the_catalog() -> None:
    authors, choice = GenerationOptions(temperature=0.6, top_p=0.95, top_k=20), Thinking(("none", "medium"), "medium", has_thoughts=True)
    qwen = entry_of("Qwen/Qwen3-0.6B")
    direct = for_effort(authors, qwen, "none", choice)
    assert (direct.temperature, direct.top_p, direct.top_k, direct.reasoning_effort) == (0.7, 0.8, 20, "none")
    assert for_effort(authors, qwen, "medium", choice) == replace(authors, reasoning_effort="medium")
    assert for_effort(authors, qwen, None, choice) == authors
    assert for_effort(authors, None, "none", choice) == replace(authors, reasoning_effort="none")


def test_sampling_of_the_catalog_is_checked() -> None:
    sampling = "without_thinking = {temperature = 0.7, top_p = 0.8, top_k = 20, min_p = 0.0}"
    entry, = parse_catalog(f"{MODEL}{sampling}\n")
    assert entry.without_thinking == Sampling(0.7, 0.8, 20, 0.0)
    with pytest.raises(ValueError, match=r"top_k is 2\.5"):
        parse_catalog(MODEL + sampling.replace("20", "2.5"))
