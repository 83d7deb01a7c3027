"""Which models can be trained for which tasks, how long a text may be for them, and how they are named in a result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import torch
from transformers import BartConfig, BartModel, DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel

from engine import Engine
from engine.checkpoint.shape import read_shape
from engine.errors import NotPermitted, UnsupportedModel
from engine.finetune import Tables
from engine.finetune.bases import find_base
from engine.finetune.card import shown_base
from engine.finetune.events import EventWriter
from engine.finetune.inputs import Inputs, JobWriter, estimate_of, read_inputs
from engine.finetune.job import read_job
from engine.finetune.plan import FineTunePlan
from engine.models.resolve import BUILTIN_FOLDER, LocalModel, resolve
from engine.models.spec import ModelSpec
from engine.settings import BUILTIN, Secret, Settings
from tests import hub_standin, task_models
from tests.hub_standin import GOOD_TOKEN, Repo, StandIn

from .test_fine_tunes import ME, App


def use(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_ENDPOINT does, which the client library reads when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}")


def test_an_encoder_is_no_base_for_texts_that_it_would_see_the_end_of(tmp_path: Path) -> None:
    folder = str(task_models.encoder(tmp_path / "bert", "fill-mask"))
    settings = Settings(data_dir=tmp_path)
    assert find_base(FineTunePlan("token-classification", "", {}, ModelSpec(folder)), settings).shape.layers == 2
    for task in ("chat", "text"):
        with pytest.raises(UnsupportedModel, match="it is an encoder"):
            find_base(FineTunePlan(task, "", {}, ModelSpec(folder)), settings)      # type: ignore[arg-type]
    folder = str(task_models.encoder(tmp_path / "decoder", "fill-mask", is_decoder=True))
    assert find_base(FineTunePlan("text", "", {}, ModelSpec(folder)), settings).shape.layers == 2


def test_a_model_that_cannot_learn_to_write_is_no_base_for_texts(tmp_path: Path) -> None:
    """transformers has no decoder of DistilBERT; BART's compares each token with itself. Both can classify."""
    small = {"vocab_size": 99, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
             "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    distilbert = DistilBertModel(DistilBertConfig(vocab_size=99, dim=16, n_layers=1, n_heads=2, hidden_dim=16))
    settings = Settings(data_dir=tmp_path)
    for model, why in ((distilbert, "no distilbert model that writes text"), (BartModel(BartConfig(**small)), "repeat each token")):
        model.save_pretrained(folder := tmp_path / model.config.model_type)
        for task in ("chat", "text"):
            with pytest.raises(UnsupportedModel, match=why):
                find_base(FineTunePlan(task, "", {}, ModelSpec(str(folder))), settings)      # type: ignore[arg-type]
        assert find_base(FineTunePlan("text-classification", "", {}, ModelSpec(str(folder))), settings).folder == folder


def test_a_base_of_the_hub_is_refused_before_it_is_downloaded_or_found_when_it_is(
        tmp_path: Path, llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = task_models.encoder(tmp_path / "bert", "fill-mask")
    with hub_standin.online(), hub_standin.running({"me/bert": encoder, "me/tiny": llama_folder}) as hub:
        use(hub, monkeypatch)
        settings = Settings(device="cpu", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
        with pytest.raises(UnsupportedModel, match="does not write text"):
            find_base(FineTunePlan("chat", "", {}, ModelSpec("me/bert")), settings)
        assert find_base(FineTunePlan("text-classification", "", {}, ModelSpec("me/bert")), settings).folder is None

        tables, engine = Tables(settings), Engine(settings)
        table = tables.read("people.csv", b"question,answer\n" + b"".join(b"Who is %d?,A fox\n" % at for at in range(8)))
        plan = FineTunePlan("chat", table.id, {"question": "question", "answer": "answer"}, ModelSpec("me/tiny"))

        def read() -> Inputs:
            return read_inputs(plan, tables, "", settings, None)

        inputs = read()
        assert inputs.base.folder is None
        (folder := tmp_path / "run").mkdir()
        JobWriter(inputs, estimate_of(inputs, engine, is_operator=True), folder, engine, None, 0.0, read)(EventWriter(folder), Event())
        assert (Path(read_job(folder).base_folder) / "config.json").is_file()
        engine.close()


def test_a_gated_base_is_not_stored_for_visitors_of_a_public_page(
        tmp_path: Path, llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gated = Repo(llama_folder, gated="auto", readers=frozenset({GOOD_TOKEN}))
    with hub_standin.online(), hub_standin.running({"me/tiny": gated}) as hub:
        use(hub, monkeypatch)
        app = App(Settings(device="cpu", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", is_public=True,
                           allowed_models=("me/tiny",)), hub.address)
        plan = replace(app.plan(llama_folder), base=ModelSpec("me/tiny"))
        with pytest.raises(NotPermitted, match="gated"):
            app.runs.start(plan, replace(ME, token=Secret(GOOD_TOKEN)))
        app.close()


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
