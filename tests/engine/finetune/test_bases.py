"""Which models can be trained for which tasks, how long a text may be for them, and how they are named in a result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import RobertaConfig, RobertaModel

from engine.checkpoint.shape import read_shape
from engine.errors import UnsupportedModel
from engine.finetune.bases import find_base
from engine.finetune.card import shown_base
from engine.finetune.plan import FineTunePlan
from engine.models.resolve import BUILTIN_FOLDER, LocalModel, resolve
from engine.models.spec import ModelSpec
from engine.settings import BUILTIN, Settings
from tests import task_models


def test_an_encoder_is_no_base_for_texts_that_it_would_see_the_end_of(tmp_path: Path) -> None:
    folder = str(task_models.encoder(tmp_path / "bert", "fill-mask"))
    settings = Settings(data_dir=tmp_path)
    assert find_base(FineTunePlan("token-classification", "", {}, ModelSpec(folder)), settings).shape.layers == 2
    for task in ("chat", "text"):
        with pytest.raises(UnsupportedModel, match="it is an encoder"):
            find_base(FineTunePlan(task, "", {}, ModelSpec(folder)), settings)      # type: ignore[arg-type]
    folder = str(task_models.encoder(tmp_path / "decoder", "fill-mask", is_decoder=True))
    assert find_base(FineTunePlan("text", "", {}, ModelSpec(folder)), settings).shape.layers == 2


def test_positions_that_no_token_has_are_no_part_of_the_window(tmp_path: Path) -> None:
    """RoBERTa's first token has the position after that of padding."""
    model = RobertaModel(RobertaConfig(vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                                       max_position_embeddings=20, pad_token_id=1)).eval()
    model.save_pretrained(tmp_path)
    window = read_shape(tmp_path, json.loads((tmp_path / "config.json").read_text("utf-8")), "tiny").max_window
    assert model(torch.full((1, window), 5)).last_hidden_state.shape == (1, window, 32)
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, window + 1), 5))


def test_a_base_is_named_to_others_so_that_it_can_be_given_again(tmp_path: Path) -> None:
    assert shown_base("org/name") == "org/name"
    assert shown_base("/home/ada/name") == "name"
    place = resolve(shown_base(BUILTIN), Settings(data_dir=tmp_path))
    assert isinstance(place, LocalModel)
    assert place.folder == BUILTIN_FOLDER
