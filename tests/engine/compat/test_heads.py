"""Models with heads: transformers' own classes, and the general head where a family has none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, BertConfig, GPT2Config, LlamaConfig, MambaConfig, T5Config

from engine.compat.heads import HeadedTask, head_class

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50, "num_labels": 3, "pad_token_id": 0}
TASKS: tuple[HeadedTask, ...] = ("text-classification", "question-answering", "token-classification")


def test_a_family_with_heads_gets_its_own_class() -> None:
    assert head_class("text-classification", BertConfig()).__name__ == "BertForSequenceClassification"      # type: ignore[union-attr]
    assert head_class("question-answering", GPT2Config()).__name__ == "GPT2ForQuestionAnswering"        # type: ignore[union-attr]
    assert head_class("token-classification", LlamaConfig()).__name__ == "LlamaForTokenClassification"      # type: ignore[union-attr]


@pytest.mark.parametrize("task", TASKS)
def test_a_recurrent_family_without_heads_gets_the_general_one_over_its_own_base(task: HeadedTask, tmp_path: Path) -> None:
    """Its weights have the names of the family's own models, so they are read from their files."""
    config = MambaConfig(**SMALL, state_size=4, problem_type="single_label_classification")
    kind = head_class(task, config)
    assert kind is not None
    model = kind(config).eval()
    ids = torch.tensor([[1, 2, 3], [4, 5, 0]])
    output = model(input_ids=ids, attention_mask=(ids != 0).long())
    shape = (output.start_logits if task == "question-answering" else output.logits).shape
    assert shape == {"text-classification": (2, 3), "question-answering": (2, 3), "token-classification": (2, 3, 3)}[task]
    assert any(name.startswith("backbone.layers.0") for name in model.state_dict())

    model.save_pretrained(tmp_path)
    again, report = kind.from_pretrained(tmp_path, config=AutoConfig.from_pretrained(tmp_path), output_loading_info=True)
    assert not report["missing_keys"]
    assert torch.equal(again.state_dict()["backbone.embeddings.weight"], model.state_dict()["backbone.embeddings.weight"])


def test_a_text_is_classified_by_its_last_token_and_not_by_what_fills_it_up() -> None:
    config = MambaConfig(**SMALL, state_size=4)
    kind = head_class("text-classification", config)
    assert kind is not None
    model = kind(config).eval()
    alone = model(input_ids=torch.tensor([[4, 5]])).logits
    filled = model(input_ids=torch.tensor([[4, 5, 0, 0]]), attention_mask=torch.tensor([[1, 1, 0, 0]])).logits
    torch.testing.assert_close(alone, filled)


def test_a_model_of_another_kind_has_none() -> None:
    from transformers import ViTConfig

    assert head_class("question-answering", ViTConfig()) is None
    assert head_class("text-classification", T5Config()) is not None
