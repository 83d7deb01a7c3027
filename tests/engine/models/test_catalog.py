from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.hardware import Hardware
from engine.messages import GenerationOptions, Thinking
from engine.models.catalog import (
    CatalogEntry,
    Reason,
    Recommendation,
    Sampling,
    catalog,
    default_choice,
    entry_of,
    for_effort,
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


def recommended(hardware: Hardware, supported: Sequence[Quantization] = ALL, use: str = "chat",
                language: str = "") -> tuple[Recommendation, ...]:
    return recommend(hardware, hardware.total_bytes, supported=supported, use=use, language=language)


def is_too_large(choice: Recommendation) -> bool:
    return choice.fit is not None and choice.fit.verdict is Verdict.TOO_LARGE


def position(repo: str, found: Sequence[Recommendation]) -> int:
    return [choice.entry.repo for choice in found].index(repo)


def test_there_are_enough_models_to_choose_from() -> None:
    since = [entry for entry in catalog() if entry.released >= "2025-07"]
    assert len(since) >= 38
    assert min(entry.parameters for entry in since) < 0.4e9
    assert max(entry.parameters for entry in since) > 115e9


@pytest.mark.parametrize("entry", [entry for entry in catalog() if entry.released >= "2025-09"], ids=lambda entry: entry.repo)
def test_a_new_entry_names_its_source(entry: CatalogEntry) -> None:
    assert entry.source


def test_the_models_of_the_guide_are_marked() -> None:
    assert {entry.repo for entry in catalog() if entry.guide} == set(GUIDE)


@pytest.mark.parametrize("repo", GUIDE)
def test_every_model_of_the_guide_is_in_the_catalog(repo: str) -> None:
    assert entry_of(repo) is not None


def test_an_unknown_model_has_no_entry_and_no_sibling() -> None:
    assert entry_of("nobody/nothing") is None
    assert smaller_sibling("nobody/nothing") is None


@pytest.mark.parametrize("entry", catalog(), ids=lambda entry: entry.repo)
def test_the_shape_explains_the_number_of_parameters(entry: CatalogEntry) -> None:
    if entry.shape is not None:
        assert entry.shape.parameters == pytest.approx(entry.parameters, rel=0.001)


def test_an_entry_without_confirmed_sizes_has_no_shape() -> None:
    assert [entry.repo for entry in catalog() if entry.shape is None] == [
        "Qwen/Qwen3.5-2B", "Qwen/Qwen3.5-122B-A10B", "LiquidAI/LFM2-24B-A2B", "ibm-granite/granite-4.0-h-tiny",
        "ibm-granite/granite-4.0-h-small"]


@pytest.mark.parametrize(("repo", "active"), [
    ("openai/gpt-oss-120b", 5.1e9), ("openai/gpt-oss-20b", 3.6e9), ("google/gemma-4-26B-A4B-it", 3.8e9),
    ("LiquidAI/LFM2-8B-A1B", 1.5e9), ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 3.2e9), ("google/gemma-4-E2B-it", 2.3e9)])
def test_active_parameters_are_those_of_the_card(repo: str, active: float) -> None:
    entry = entry_of(repo)
    assert entry is not None
    assert entry.active_parameters == pytest.approx(active, rel=0.04)


def test_a_gated_model_is_marked() -> None:
    owners = ("meta-llama/", "google/gemma-2", "google/gemma-3", "bigcode/")
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
    too_large = [is_too_large(choice) for choice in found]
    assert too_large == sorted(too_large)
    assert {choice.entry for choice in found} == set(catalog())


@pytest.mark.parametrize(("hardware", "smallest", "largest"), [
    (cuda(4), 2e9, 7e9), (cuda(8), 4e9, 13e9), (cuda(24), 13e9, 40e9), (cuda(80), 13e9, 40e9),
    (cpu(8), 1e9, 5e9), (cpu(64), 1e9, 5e9)])
def test_the_first_recommendation_is_a_current_open_chat_model_of_the_right_size(
        hardware: Hardware, smallest: float, largest: float) -> None:
    first = recommended(hardware)[0]
    assert first.fit is not None
    assert first.fit.verdict is Verdict.FITS
    assert first.entry.current
    assert not first.entry.gated
    assert first.entry.chat_template
    assert "chat" in first.entry.good_for
    assert smallest <= first.entry.parameters <= largest


def test_a_cpu_gets_a_fast_model_first_however_much_memory_it_has() -> None:
    first = recommended(cpu(64))[0]
    assert first.quantization is Quantization.NONE
    assert first.entry.active_parameters < 2.5e9


def test_a_tiny_model_does_not_rank_above_a_small_capable_one_on_a_cpu() -> None:
    found = recommended(cpu(16))
    assert position("Qwen/Qwen3.5-4B", found) < position("HuggingFaceTB/SmolLM2-135M-Instruct", found)


def test_a_cpu_without_16_bit_arithmetic_gets_a_smaller_model() -> None:
    wide = replace(cpu(64), dtype="float32")
    assert recommended(wide)[0].entry.active_parameters < recommended(cpu(64))[0].entry.active_parameters


def test_models_larger_than_4_b_rank_below_those_that_suit_a_cpu() -> None:
    fitting = [choice.entry.active_parameters > 4.5e9 for choice in recommended(cpu(64))
               if choice.fit is not None and choice.fit.verdict is Verdict.FITS and choice.entry.can_load]
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
        return sum(choice.fit is not None and choice.fit.verdict is Verdict.FITS for choice in found)

    assert fitting(4096, 1) > fitting(4096, 8)
    assert fitting(4096, 1) > fitting(32_768, 1)


def test_models_that_cannot_be_loaded_safely_rank_below_all_that_can() -> None:
    usable = [choice.entry.can_load for choice in recommended(cuda(640)) if choice.fit is not None]
    assert usable == sorted(usable, reverse=True)


def test_a_mixture_needs_memory_for_all_its_weights_and_is_as_fast_as_those_it_reads() -> None:
    mixture, dense = "LiquidAI/LFM2-8B-A1B", "Qwen/Qwen3-8B"
    small, large = recommended(cpu(8)), recommended(cpu(64))
    assert next(is_too_large(choice) for choice in small if choice.entry.repo == mixture)
    assert position(mixture, large) < position(dense, large)
    assert large[position(mixture, large)].reason is Reason.MIXTURE
    assert large[position("Qwen/Qwen3.5-9B", large)].reason is Reason.SLOW


def test_a_model_made_for_the_use_ranks_first() -> None:
    coder = "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    assert position(coder, recommended(cpu(16), use="code")) < position(coder, recommended(cpu(16), use="chat"))
    assert "code" in recommended(cuda(24), use="code")[0].entry.good_for
    assert "reasoning" in recommended(cuda(24), use="reasoning")[0].entry.good_for


@pytest.mark.parametrize("hardware", [cuda(8), cuda(24), cpu(8), cpu(32)],
                         ids=lambda hardware: f"{hardware.kind} {hardware.total_bytes // GIB}")
@pytest.mark.parametrize("language", ["tr", "zh", "sv"])
def test_the_first_recommendation_speaks_the_language(hardware: Hardware, language: str) -> None:
    assert language in recommended(hardware, language=language)[0].entry.languages


def test_a_model_without_a_shape_ranks_between_those_that_fit_and_those_that_do_not() -> None:
    found = recommended(cuda(24))
    places = [2 if is_too_large(choice) else 1 if choice.fit is None else 0 for choice in found]
    assert places == sorted(places)
    assert {choice.reason for choice in found if choice.fit is None} == {Reason.UNKNOWN}


@pytest.mark.parametrize(("repo", "memory_gib", "reason"), [
    ("Qwen/Qwen3.5-9B", 48, "full"), ("Qwen/Qwen3.5-9B", 14, "eight_bits"), ("Qwen/Qwen3.5-4B", 6, "four_bits"),
    ("openai/gpt-oss-20b", 80, "mixture"), ("Salesforce/codegen-2B-mono", 80, "refused"), ("Qwen/Qwen3-8B", 80, "older"),
    ("google/gemma-4-31B-it", 16, "too_large"), ("Qwen/Qwen3.6-35B-A3B", 96, "mixture")])
def test_each_place_has_its_reason(repo: str, memory_gib: int, reason: str) -> None:
    found = recommended(cuda(memory_gib))
    assert found[position(repo, found)].reason == reason


def test_a_table_is_read_as_written() -> None:
    entry, = parse_catalog(MODEL)
    assert (entry.repo, entry.context, entry.good_for, entry.stored_dtype) == ("maker/model", 512, ("chat",), "bfloat16")
    assert entry.shape is not None
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
    ("use =", "sampling = {chat = {temprature = 1.0}}\nuse =", "unknown field temprature"),
    ("use =", "sampling = {chat = {top_k = 1.5}}\nuse =", "top_k is 1.5, which is not of type int"),
    ("architecture =", "shape = {layers = 2}\narchitecture =", "both a shape and an architecture"),
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


def test_sampling_with_thoughts_is_that_of_the_catalog_where_it_has_some() -> None:
    choice = Thinking(("none", "medium"), "medium", has_thoughts=True)
    thoughtful = for_effort(GenerationOptions(top_p=0.5), entry_of("Qwen/Qwen3.5-35B-A3B"), "medium", choice)
    assert (thoughtful.temperature, thoughtful.top_p, thoughtful.presence_penalty) == (1.0, 0.95, 1.5)


def test_a_model_that_does_not_think_has_the_sampling_of_a_chat() -> None:
    plain = for_effort(GenerationOptions(top_p=0.9), entry_of("LiquidAI/LFM2-1.2B"), None, Thinking())
    assert (plain.temperature, plain.top_p, plain.min_p, plain.repetition_penalty) == (0.3, 0.9, 0.15, 1.05)


def test_sampling_of_the_catalog_is_checked() -> None:
    sampling = "sampling = {chat = {temperature = 0.7, top_p = 0.8, top_k = 20, min_p = 0.0}}"
    entry, = parse_catalog(f"{MODEL}{sampling}\n")
    assert entry.sampling == {"chat": Sampling(0.7, 0.8, 20, 0.0)}
    with pytest.raises(ValueError, match=r"top_k is 2\.5"):
        parse_catalog(MODEL + sampling.replace("20", "2.5"))
