"""The internals of transformers that engine/compat uses still exist. If a test fails, read the new version's source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BartForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
)

from engine.compat import transformers as compat
from tests import tiny_models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    folder = tiny_models.llama(tmp_path_factory.mktemp("compat") / "llama")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_the_configuration_names_the_attention_kernel(model: PreTrainedModel) -> None:
    assert compat.attention_kernel(model) == "sdpa"
    model.set_attn_implementation("eager")
    assert compat.attention_kernel(model) == "eager"
    model.set_attn_implementation("sdpa")


def test_every_model_class_reports_whether_it_is_stateful() -> None:
    assert PreTrainedModel._is_stateful is False
    assert LlamaForCausalLM._is_stateful is False
    assert MambaForCausalLM._is_stateful is True


def test_architectures_are_known_by_name() -> None:
    assert compat.is_known_architecture("llama")
    assert not compat.is_known_architecture("no-such-architecture")
    assert not compat.is_known_architecture(None)


def test_causal_language_models_are_known_by_name() -> None:
    assert compat.is_causal_architecture("llama")
    assert not compat.is_causal_architecture("clip")


def test_a_causal_models_own_loss_compares_each_output_with_the_next_token_or_with_its_own() -> None:
    small: dict[str, Any] = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bart = BartForCausalLM(BartConfig(vocab_size=50, d_model=16, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16))
    ids = torch.arange(8)[None]
    for model in (bart, LlamaForCausalLM(LlamaConfig(**small, intermediate_size=16)), GPT2LMHeadModel(
            GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2)), MambaForCausalLM(MambaConfig(**small, state_size=4))):
        output = model.eval()(input_ids=ids, labels=ids)
        next_token = cross_entropy(output.logits[0, :-1], ids[0, 1:])
        assert compat.predicts_next_token(model.config.model_type) is torch.allclose(output.loss, next_token, rtol=1e-4)
    assert not compat.predicts_next_token("bart")


def test_loading_iterates_over_its_weights_through_the_progress_bar(tmp_path: Path) -> None:
    seen: list[object] = []
    with compat.weights_progress(lambda items: (seen.append(item) or item for item in items)):      # type: ignore[func-returns-value]
        AutoModelForCausalLM.from_pretrained(tiny_models.llama(tmp_path / "llama"))
    assert len(seen) > 10


@pytest.mark.parametrize(("name", "kind", "expected"), [
    ("LlamaForCausalLM", "llama", True), ("GPT2LMHeadModel", "gpt2", True), ("Gemma3ForConditionalGeneration", "gemma3", True),
    ("LlamaForSequenceClassification", "llama", False), ("LlamaModel", "llama", False), ("BertForMaskedLM", "bert", False),
    ("BartForConditionalGeneration", "bart", False), (None, "llama", False)])
def test_classes_that_generate_text_are_known_by_their_names(name: object, kind: str, expected: bool) -> None:
    assert compat.is_causal_class(name, kind) is expected


def test_the_places_of_tensors_are_known_before_they_are_loaded(model: PreTrainedModel) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    assert compat.places_of(model, ["model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight", "odd"]) == {
        "model.layers.0.mlp.up_proj.weight": "model.layers.0.mlp.up_proj.weight",
        "layers.0.mlp.up_proj.weight": "model.layers.0.mlp.up_proj.weight", "odd": "odd"}
    with torch.device("meta"):
        mixture = MixtralForCausalLM(MixtralConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                                                   num_key_value_heads=2, num_local_experts=2, vocab_size=16))
    expert = "model.layers.0.block_sparse_moe.experts.0.w1.weight"      # becomes a part of a larger one
    assert compat.places_of(mixture, [expert]) == {}


def test_the_classes_with_the_head_of_a_task_are_those_of_the_automatic_classes() -> None:
    import transformers

    expected = {"AutoModelForSequenceClassification": "BertForSequenceClassification", "AutoModelForQuestionAnswering":
                "BertForQuestionAnswering", "AutoModelForTokenClassification": "BertForTokenClassification",
                "AutoModelForMaskedLM": "BertForMaskedLM"}
    assert {name: compat.head_class(name, "bert") for name in expected} == expected
    for name, kind in expected.items():
        with torch.device("meta"):
            assert type(getattr(transformers, name).from_config(transformers.BertConfig(num_hidden_layers=1))).__name__ == kind
    assert compat.head_class("AutoModelForSeq2SeqLM", "t5") == "T5ForConditionalGeneration"
    assert compat.head_class("AutoModelForMaskedLM", "llama") == compat.head_class("AutoModelForMaskedLM", None) == ""
