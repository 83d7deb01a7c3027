"""Adapters as models: loaded by their own name, beside each other, and by replies that choose one."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine import Engine, GenerationOptions, LoadOptions, Message, ModelSpec, Quantization, Settings
from engine.checkpoint.adapter import UnsupportedAdapter
from engine.errors import InvalidRequest, NotEnoughMemory
from engine.models.adapters import MOST_ADAPTERS, find_adapter
from engine.models.resolve import BUILTIN_FOLDER
from tests.conftest import ask, exhaust
from tests.engine.generation.test_adapters import write_adapter
from tests.tiny_models import CHATML

OTHER_TEMPLATE = CHATML.replace("assistant\n", "assistant: ")


def adapter(folder: Path, base: Path, seed: int, **config: object) -> Path:
    folder.parent.mkdir(exist_ok=True)
    names = {"base_model_name_or_path": str(base), "task_type": "CAUSAL_LM", **config}
    return write_adapter(folder, AutoModelForCausalLM.from_pretrained(base), seed, **names)


@pytest.fixture(scope="module")
def folders(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    made = {name: adapter(root / name, llama_folder, seed) for seed, name in enumerate(("one", "two"))}
    (made["two"] / "chat_template.jinja").write_text(OTHER_TEMPLATE)
    return made


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    made = Engine(settings)
    yield made
    made.close()


def test_an_adapter_loads_its_base_and_itself(engine: Engine, folders: dict[str, Path], llama_folder: Path) -> None:
    exhaust(engine.load(str(folders["one"])))
    assert engine.spec == ModelSpec(str(llama_folder), adapter=str(folders["one"]))
    assert (engine.status().model, engine.status().adapters, engine.status().adapter) == ("tiny-llama + one", ("one",), "one")
    replies = {name: ask(engine, "hello", adapter=name)[0] for name in (None, "one", "")}
    assert replies[None] == replies["one"] != replies[""]


def test_the_base_answers_as_without_adapters(engine: Engine, llama_engine: Engine, folders: dict[str, Path]) -> None:
    exhaust(engine.load(ModelSpec(str(folders["one"])), LoadOptions(adapters=(str(folders["two"]),))))
    scored = GenerationOptions(max_new_tokens=8, temperature=0.0, top_logprobs=2, adapter="")
    assert [event.tokens for event in engine.chat("hello", scored) if hasattr(event, "tokens")] == \
        [event.tokens for event in llama_engine.chat("hello", scored) if hasattr(event, "tokens")]


def test_another_adapter_of_the_same_base_is_added_without_a_load(engine: Engine, folders: dict[str, Path]) -> None:
    exhaust(engine.load(str(folders["one"])))
    with engine.using() as before:
        pass
    stages = [event.stage for event in engine.load(str(folders["two"]))]
    with engine.using() as after:
        assert after is before
    assert "weights" not in stages
    assert (engine.status().adapters, engine.status().adapter) == (("one", "two"), "two")
    exhaust(engine.load(ModelSpec(engine.spec.model)))      # the base alone
    assert (engine.status().adapters, engine.status().adapter) == (("one", "two"), "")


def test_adapters_are_loaded_again_with_the_model(engine: Engine, folders: dict[str, Path]) -> None:
    exhaust(engine.load(str(folders["one"])))
    assert engine.add_adapter(str(folders["two"])) == "two"
    before, current = ask(engine, "hello", adapter="two")[0], engine.current
    engine.unload()
    exhaust(engine.load(*current))
    assert engine.status().adapters == ("one", "two")
    assert ask(engine, "hello", adapter="two")[0] == before


@pytest.fixture(scope="module")
def broken(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose first reply fails."""
    folder = shutil.copytree(llama_folder, tmp_path_factory.mktemp("models") / "broken")
    tensors = load_file(folder / "model.safetensors")
    for tensor in tensors.values():
        tensor.fill_(float("nan"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_failed_load_restores_the_model_with_its_adapters(engine: Engine, folders: dict[str, Path], broken: Path) -> None:
    exhaust(engine.load(str(folders["one"])))
    with pytest.raises(Exception, match="broken"):
        exhaust(engine.load(str(broken)))
    assert (engine.status().model, engine.status().adapters) == ("tiny-llama + one", ("one",))


def test_a_removed_default_is_no_default_of_a_later_load(engine: Engine, folders: dict[str, Path], llama_folder: Path) -> None:
    exhaust(engine.load(ModelSpec(str(folders["one"])), LoadOptions(adapters=(str(folders["two"]),))))
    engine.remove_adapter("one")
    assert engine.spec == ModelSpec(str(llama_folder))
    before, current = ask(engine, "hello")[0], engine.current
    engine.unload()
    exhaust(engine.load(*current))
    assert (engine.status().adapters, engine.status().adapter) == (("two",), "")
    assert ask(engine, "hello")[0] == before


def test_a_failed_load_restores_a_model_whose_default_adapter_was_removed(engine: Engine, folders: dict[str, Path],
                                                                          broken: Path) -> None:
    exhaust(engine.load(str(folders["one"])))
    engine.remove_adapter("one")
    with pytest.raises(Exception, match="broken"):
        exhaust(engine.load(str(broken)))
    assert (engine.status().model, engine.status().adapter) == ("tiny-llama", "")


def test_adapters_of_the_same_name_keep_their_names(engine: Engine, folders: dict[str, Path], tmp_path: Path) -> None:
    first, last = (shutil.copytree(folders[name], tmp_path / name / "final") for name in ("one", "two"))
    exhaust(engine.load(str(first)))
    exhaust(engine.load(str(last)))
    replies = {name: ask(engine, "hello", adapter=name)[0] for name in engine.status().adapters}
    assert (engine.status().adapters, engine.status().adapter) == (("final", str(last)), str(last))
    current = engine.current
    engine.unload()
    exhaust(engine.load(*current))
    assert {name: ask(engine, "hello", adapter=name)[0] for name in engine.status().adapters} == replies
    assert engine.status().adapter == str(last)
    engine.remove_adapter("final")
    assert engine.add_adapter(str(last)) == str(last)


def test_an_adapter_that_is_gone_does_not_stop_its_base(engine: Engine, folders: dict[str, Path], tmp_path: Path) -> None:
    gone = shutil.copytree(folders["one"], tmp_path / "gone")
    exhaust(engine.load(ModelSpec(str(gone)), LoadOptions(adapters=(str(folders["two"]),))))
    current = engine.current
    engine.unload()
    shutil.rmtree(gone)
    exhaust(engine.load(*current))
    assert (engine.status().adapters, engine.status().adapter) == (("two",), "")
    assert any("gone" in note for note in engine.status().notes)


def test_an_adapter_keeps_the_chat_template_of_its_training(engine: Engine, folders: dict[str, Path]) -> None:
    exhaust(engine.load(ModelSpec(str(folders["one"])), LoadOptions(adapters=(str(folders["two"]),))))
    prompts = {name: engine.view_prompt([Message("user", "hi")], GenerationOptions(adapter=name)).text for name in ("one", "two")}
    assert prompts["one"].endswith("<|im_start|>assistant\n")
    assert prompts["two"].endswith("<|im_start|>assistant: ")


def test_a_removed_adapter_is_refused_before_anything_is_generated(engine: Engine, folders: dict[str, Path]) -> None:
    exhaust(engine.load(str(folders["one"])))
    engine.remove_adapter("one")
    assert engine.status().adapter == ""
    with pytest.raises(InvalidRequest, match="one"):
        engine.check_prompt([Message("user", "hi")], GenerationOptions(adapter="one"))
    assert ask(engine, "hello")[0]


@pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.INT4, Quantization.NF4])
def test_adapters_of_a_quantized_base_change_its_replies(engine: Engine, quantization: Quantization, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "tuned", BUILTIN_FOLDER, 1, lora_alpha=32)
    exhaust(engine.load(ModelSpec(str(folder), quantization=quantization)))
    assert engine.spec == ModelSpec("builtin", quantization=quantization, adapter=str(folder))
    assert ask(engine, "What is LoRA?")[0] != ask(engine, "What is LoRA?", adapter="")[0]


@pytest.mark.parametrize(("changes", "reason"), [
    ({"base_model_name_or_path": ""}, "which model"), ({"base_model_name_or_path": "/no/such/folder"}, "not on this machine"),
    ({"use_dora": True}, "use_dora"), ({"task_type": "SEQ_CLS"}, "another task"), ({"modules_to_save": ["lm_head"]}, "whole modules"),
    ({"init_lora_weights": "pissa"}, "also changed the base"), ({"alpha_pattern": {"(a+)+b": 4}}, "regular expressions")], ids=str)
def test_an_adapter_that_cannot_be_used_is_refused_before_the_model_is_unloaded(
        llama_engine: Engine, llama_folder: Path, tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    folder = adapter(tmp_path / "odd", llama_folder, 0, **changes)
    with pytest.raises(UnsupportedAdapter, match=reason):
        exhaust(llama_engine.load(str(folder)))
    assert llama_engine.status().model == "tiny-llama"


@pytest.mark.parametrize("name", ["lm_head.lora_{}.weight", "model.embed_tokens.weight"])
def test_an_adapter_of_the_vocabulary_is_refused_before_the_model_is_unloaded(
        llama_engine: Engine, folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    odd = shutil.copytree(folders["one"], tmp_path / "odd")
    with llama_engine.using() as model:
        rows, width = model.loaded.model.get_input_embeddings().weight.shape
    more = {name.format("A"): torch.zeros(2, width), name.format("B"): torch.zeros(rows, 2)}
    tensors = {**load_file(odd / "adapter_model.safetensors"), **{f"base_model.model.{key}": each for key, each in more.items()}}
    save_file(tensors, odd / "adapter_model.safetensors")
    with pytest.raises(UnsupportedAdapter, match="product"):
        exhaust(llama_engine.load(ModelSpec(str(odd)), LoadOptions(context_tokens=100)))
    assert llama_engine.latest_load.latest.stage != "restore"


def test_adapters_have_limits_of_memory_and_number(engine: Engine, folders: dict[str, Path]) -> None:
    exhaust(engine.load(str(folders["one"])))
    one, two = (find_adapter(str(folders[name]), engine.settings, lambda event: None) for name in ("one", "two"))
    with engine.using() as model:
        with pytest.raises(NotEnoughMemory, match="two"):
            model.serve_adapters(model.spec, model.settings, [one, two], free_bytes=two.size_bytes - 1)
        assert model.serve_adapters(model.spec, model.settings, [one, two], free_bytes=two.size_bytes)
        for number in range(MOST_ADAPTERS - 2):
            model.add_adapter(replace(two, source=f"/copies/{number}"))
        with pytest.raises(InvalidRequest, match="at most 32"):
            model.add_adapter(replace(two, source="/copies/last"))


def test_a_pickled_adapter_and_one_of_another_model_are_refused(llama_engine: Engine, folders: dict[str, Path], tmp_path: Path) -> None:
    pickled = shutil.copytree(folders["one"], tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    with pytest.raises(UnsupportedAdapter, match="never loaded"):
        exhaust(llama_engine.load(str(pickled)))
    with pytest.raises(UnsupportedAdapter, match="does not fit builtin"):
        exhaust(llama_engine.load(ModelSpec("builtin", adapter=str(folders["one"]))))
