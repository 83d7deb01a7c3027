"""What is refused before anything is loaded, and what is known of a model from its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.embedding.files import read_embedder, read_reranker
from engine.errors import UnsupportedModel
from engine.hardware import detect
from tests import embedding_models
from tests.embedding_models import MINILM, write


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedding_models.embedder(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny, tmp_path / "copy")
    return tmp_path / "copy"


def test_what_the_files_of_a_real_model_say() -> None:
    found = read_embedder("minilm", MINILM, detect("cpu"))
    assert (found.dimensions, found.window_tokens, found.prompts) == (384, 256, {"query": "", "document": ""})
    assert found.size_bytes == (MINILM / "model.safetensors").stat().st_size
    assert found.size_bytes < found.needed_bytes < 4 * found.size_bytes


def change(path: str, edit: Callable[[Any], Any]) -> Callable[[Path], None]:
    return lambda folder: write(folder / path, edit(json.loads((folder / path).read_text("utf-8"))))


def dense(config: dict[str, Any], *, has_weights: bool = True) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        (folder / "2_Dense").mkdir()
        write(folder / "2_Dense" / "config.json", config)
        if has_weights:
            (folder / "2_Dense" / "model.safetensors").write_bytes(b"")
        write(folder / "modules.json", [*embedding_models.MODULES, {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])
    return add


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(("damage", "why"), [
    (lambda folder: (folder / "modules.json").unlink(), "no modules.json"),
    (lambda folder: (folder / "modules.json").write_text("{"), "cannot be read"),
    (change("modules.json", lambda modules: modules[:1]), "no Transformer with a Pooling"),
    (change("modules.json", lambda modules: [*modules, {"type": "modeling_own.Evil", "path": ""}]), "modeling_own.Evil"),
    (change("modules.json", lambda modules: [*modules, {"type": "os.system.Dense", "path": ""}]), "os.system.Dense"),
    (change("modules.json", lambda modules: [modules[0], {**modules[1], "path": "../elsewhere"}]), "not loaded here"),
    (change("modules.json", lambda modules: [*modules, {"type": "sentence_transformers.models.BoW", "path": ""}]), "BoW"),
    (pickled, "can run code"),
    (change("config.json", lambda config: {**config, "model_type": "own_model"}), "own_model"),
    (change("config.json", lambda config: {**config, "attn_implementation": "someone/kernel"}), "someone/kernel"),
    (lambda folder: write(folder / "sentence_bert_config.json", {"model_args": {"attn_implementation": "someone/kernel"}}), "kernel"),
    (lambda folder: write(folder / "adapter_config.json", {}), "adapter"),
    (dense({"out_features": 8}, has_weights=False), "no safetensors"),
    (dense({"out_features": 8, "activation_function": "torch.hub.load"}), "torch.hub.load"),
], ids=range(14))
def test_what_cannot_be_loaded_safely_is_refused_with_a_reason(copy: Path, damage: Callable[[Path], Any], why: str) -> None:
    read_embedder("copy", copy, detect("cpu"))
    damage(copy)
    with pytest.raises(UnsupportedModel, match=why):
        read_embedder("copy", copy, detect("cpu"))


def test_a_dense_layer_decides_how_long_vectors_are(copy: Path) -> None:
    dense({"out_features": 8, "activation_function": "torch.nn.modules.linear.Identity"})(copy)
    assert read_embedder("copy", copy, detect("cpu")).dimensions == 8


def test_the_digest_changes_with_the_weights_and_not_with_the_readme(copy: Path) -> None:
    before = read_embedder("copy", copy, detect("cpu")).key
    (copy / "README.md").write_text("about")
    assert read_embedder("copy", copy, detect("cpu")).key == before
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    assert read_embedder("copy", copy, detect("cpu")).key != before


@pytest.mark.parametrize(("name", "prompts", "expected"), [
    ("copy", {"query": "ask: ", "passage": "text: "}, {"query": "ask: ", "document": "text: "}),
    ("copy", {"query": None, "document": 3}, {"query": "", "document": ""}),
    ("intfloat/multilingual-e5-small", None, {"query": "query: ", "document": "passage: "}),
    ("someone/other", None, {"query": "", "document": ""}),
])
def test_prompts_come_from_the_files_or_the_authors_card(copy: Path, name: str, prompts: Any, expected: dict[str, str]) -> None:
    if prompts is not None:
        write(copy / "config_sentence_transformers.json", {"prompts": prompts})
    assert read_embedder(name, copy, detect("cpu")).prompts == expected


def test_a_cross_encoder_has_one_output(tmp_path: Path, tiny: Path) -> None:
    assert read_reranker("it", embedding_models.reranker(tmp_path / "it"), detect("cpu")).window_tokens == 64
    with pytest.raises(UnsupportedModel, match="cross-encoder"):
        read_reranker("tiny", tiny, detect("cpu"))


def test_a_model_whose_tokenizer_cannot_be_read_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{damaged")
    with pytest.raises(UnsupportedModel, match=r"tokenizer\.json cannot be read"):
        read_embedder("copy", copy, detect("cpu"))
    (copy / "tokenizer.json").unlink()
    with pytest.raises(UnsupportedModel, match=r"no tokenizer\.json"):
        read_embedder("copy", copy, detect("cpu"))
