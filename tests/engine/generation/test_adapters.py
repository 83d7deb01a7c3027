"""Replies with and without a LoRA adapter in one batch; the adapters are random, in peft's file format."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from engine import Engine, GenerationOptions, ModelSpec, Settings
from engine.checkpoint.adapter import UnsupportedAdapter
from engine.errors import InvalidRequest
from engine.generation.adapters import AdapterRemoved
from engine.generation.base import NewTokens
from engine.models.adapters import find_adapter
from engine.runtime.active_model import ActiveModel
from tests import tiny_models
from tests.conftest import exhaust

PROMPT, COUNT, RANK, ALPHA = list(range(5, 60)), 24, 4, 8
TARGETS = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")


def write_adapter(folder: Path, model: torch.nn.Module, seed: int, **config: object) -> Path:
    torch.manual_seed(seed)
    tensors = {}
    for name, module in model.named_modules():
        if name.endswith(TARGETS):
            tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(RANK, module.in_features)
            tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(module.out_features, RANK) * 0.1
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", **config}))
    return folder


def merged(folder: Path, adapter: Path) -> list[int]:
    """The greedy reply of generate() with the adapter added to the weights."""
    from safetensors.torch import load_file

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tensors = load_file(adapter / "adapter_model.safetensors")
    with torch.no_grad():
        for name, module in model.named_modules():
            key = f"base_model.model.{name}.lora_A.weight"
            if key in tensors:
                module.weight += ALPHA / RANK * tensors[key.replace("lora_A", "lora_B")] @ tensors[key]
    output = model.generate(torch.tensor([PROMPT]), max_new_tokens=COUNT, do_sample=False, eos_token_id=None, pad_token_id=0)
    return list(output[0, len(PROMPT):].tolist())


def reply(model: ActiveModel, adapter: str = "") -> list[int]:
    options = GenerationOptions(max_new_tokens=COUNT, temperature=0.0, ignores_end=True, adapter=adapter)
    return [token for event in model.stream_ids(PROMPT, options) if isinstance(event, NewTokens) for token in event.ids]


def add(model: ActiveModel, folder: Path) -> str:
    return model.add_adapter(find_adapter(str(folder), model.settings, lambda event: None))


@pytest.fixture
def model(llama_folder: Path, settings: Settings) -> Iterator[ActiveModel]:
    engine = Engine(settings)
    exhaust(engine.load(ModelSpec(str(llama_folder))))
    with engine.using() as active_model:
        yield active_model
    engine.close()


def test_replies_with_two_adapters_and_none_run_in_one_batch(model: ActiveModel, llama_folder: Path, tmp_path: Path) -> None:
    base = reply(model)
    folders = {name: write_adapter(tmp_path / name, model.loaded.model, seed) for seed, name in enumerate(("one", "two"))}
    assert [add(model, folder) for folder in folders.values()] == ["one", "two"]
    expected = {"": base, **{name: merged(llama_folder, folder) for name, folder in folders.items()}}
    assert len({tuple(each) for each in expected.values()}) == 3
    found: dict[str, list[int]] = {}
    threads = [threading.Thread(target=lambda n=name: found.update({n: reply(model, n)})) for name in ("one", "", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
    assert {name: reply(model, name) for name in expected} == expected      # with prefixes of their own in the cache


def test_without_an_adapter_the_logits_are_those_of_no_adapter_loaded(model: ActiveModel, tmp_path: Path) -> None:
    options = GenerationOptions(max_new_tokens=8, temperature=0.0, ignores_end=True, top_logprobs=3)

    def scores() -> list[object]:
        return [event.scores for event in model.stream_ids(PROMPT, options) if isinstance(event, NewTokens)]

    before = scores()
    add(model, write_adapter(tmp_path / "one", model.loaded.model, 0))
    reply(model, "one")
    assert scores() == before


def test_an_adapter_that_is_replaced_is_not_answered_from_the_cache_of_the_old_one(
        model: ActiveModel, llama_folder: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine", model.loaded.model, 0)
    add(model, folder)
    old = reply(model, "mine")
    shutil.rmtree(folder)
    add(model, write_adapter(folder, model.loaded.model, 5))
    assert reply(model, "mine") == merged(llama_folder, folder) != old


def test_an_unknown_adapter_is_refused_by_its_name(model: ActiveModel) -> None:
    with pytest.raises(InvalidRequest, match="nobody"):
        reply(model, "nobody")


@pytest.mark.parametrize("config", [{"use_dora": True}, {"peft_type": "IA3"}, {"bias": "all"}, {"r": "four"}], ids=str)
def test_an_adapter_of_another_kind_is_refused(model: ActiveModel, tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(UnsupportedAdapter, match="adapter"):
        add(model, write_adapter(tmp_path / "odd", model.loaded.model, 0, **config))


def test_an_adapter_of_another_model_is_refused(model: ActiveModel, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "other", model.loaded.model, 0)
    save_file({"base_model.model.model.layers.99.self_attn.q_proj.lora_A.weight": torch.zeros(4, 8)}, folder / "adapter_model.safetensors")
    with pytest.raises(UnsupportedAdapter, match=r"layers\.99"):
        add(model, folder)


def test_a_reply_whose_adapter_is_removed_ends_and_says_so(model: ActiveModel, tmp_path: Path) -> None:
    add(model, write_adapter(tmp_path / "one", model.loaded.model, 0))
    options = GenerationOptions(max_new_tokens=400, temperature=0.0, ignores_end=True, adapter="one")
    events = model.stream_ids(PROMPT, options)
    while not isinstance(next(events), NewTokens):
        pass
    model.adapters.remove("one")
    with pytest.raises(AdapterRemoved, match="one"):
        list(events)
    assert reply(model)


@pytest.mark.parametrize(("kind", "targets"), [
    ("llama", ["q_proj", "v_proj", "down_proj"]), ("gpt2", ["c_attn", "c_fc", "c_proj"]), ("mamba", ["in_proj", "x_proj"])])
def test_replies_are_those_of_peft_in_every_lane(kind: str, targets: list[str], tmp_path: Path, settings: Settings) -> None:
    """Our own forward pass, transformers' over our cache, and one reply at a time; ranks and alphas differ between modules."""
    from peft import LoraConfig, get_peft_model

    folder = getattr(tiny_models, kind)(tmp_path / kind)

    def generated(model: torch.nn.Module) -> list[int]:
        output = model.generate(input_ids=torch.tensor([PROMPT]), max_new_tokens=COUNT, do_sample=False, eos_token_id=None, pad_token_id=0)
        return list(output[0, len(PROMPT):].tolist())

    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    expected = {"": generated(base)}
    torch.manual_seed(3)
    tuned = get_peft_model(base, LoraConfig(
        r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM",
        rank_pattern={targets[1]: 2}, alpha_pattern={targets[0]: 16, f"{targets[1]}": 3}, use_rslora=True)).eval()
    expected["tuned"] = generated(tuned)
    tuned.save_pretrained(tmp_path / "tuned")
    engine = Engine(settings)
    exhaust(engine.load(str(tmp_path / "tuned")))       # its adapter_config.json names the base
    with engine.using() as model:
        found = {name: reply(model, name) for name in ("", "tuned", "")}
        events = model.stream_ids(PROMPT, GenerationOptions(max_new_tokens=40, temperature=0.0, ignores_end=True, adapter="tuned"))
        while not isinstance(next(events), NewTokens):
            pass
        engine.remove_adapter("tuned")
        with pytest.raises(AdapterRemoved, match="tuned"):
            list(events)
        assert reply(model) == expected[""]
    engine.close()
    assert found == expected
    assert expected[""] != expected["tuned"]
