"""Every shape of the catalog, compared with the model that transformers builds from the same fields, without memory for its weights."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING

from engine.models import catalog as package
from engine.models.catalog import CatalogEntry, catalog
from engine.models.catalog.edit import number, shape_line, with_field, with_line, without_line
from engine.models.catalog.measure import measured_shape
from engine.models.skeleton import build_skeleton

FAMILIES = (("Qwen/Qwen3", "qwen3"), ("Qwen/Qwen2.5", "qwen2"), ("deepseek-ai/DeepSeek-R1-Distill-Qwen", "qwen2"),
            ("HuggingFaceTB/SmolLM3", "smollm3"), ("google/gemma-3", "gemma3_text"), ("google/gemma-2", "gemma2"),
            ("microsoft/phi-2", "phi"), ("microsoft/", "phi3"), ("mistralai/", "mistral"), ("stabilityai/", "stablelm"),
            ("Salesforce/", "codegen"), ("bigcode/", "gpt_bigcode"))      # all others: llama
MORE = {"stablelm": {"use_qkv_bias": True}, "codegen": {"tie_word_embeddings": False}, "gpt_bigcode": {"n_positions": 8192}}
NAMES = {"hidden_size": ("hidden_size", "n_embd"), "intermediate_size": ("intermediate_size", "n_inner"), "vocab_size": ("vocab_size",),
         "layers": ("num_hidden_layers", "n_layer"), "heads": ("num_attention_heads", "n_head"), "kv_heads": ("num_key_value_heads",),
         "head_dim": ("head_dim",), "tied_embeddings": ("tie_word_embeddings",)}
CATALOG = Path(package.__file__).with_name("catalog.toml")
TEXT = """["me/one"]
about = {name = "a, b", parameters = 5, licence = "mit"}
shape = {layers = 1}

# more

["me/two"]
about = {parameters = 7}
"""


@cache
def tables() -> dict[str, Any]:
    return tomllib.loads(CATALOG.read_text("utf-8"))


@pytest.mark.parametrize("entry", [entry for entry in catalog() if entry.config], ids=lambda entry: entry.repo)
def test_a_shape_equals_that_of_the_model(entry: CatalogEntry) -> None:
    shape = measured_shape(entry.config, entry.repo)
    assert tables()[entry.repo]["shape"] == tomllib.loads(f"shape = {shape_line(shape)}")["shape"]
    assert shape.parameters == entry.parameters


@pytest.mark.parametrize("repo", [repo for repo, table in tables().items() if "architecture" in table])
def test_a_number_of_parameters_equals_that_of_the_model(repo: str) -> None:
    table = tables()[repo]
    family = next((family for start, family in FAMILIES if repo.startswith(start)), "llama")
    kind = CONFIG_MAPPING[family]
    known = {*kind().to_dict(), "head_dim"} - ({"head_dim"} if family in ("phi", "stablelm", "codegen", "gpt_bigcode") else set())
    sizes = {field: table["architecture"][name] for name, fields in NAMES.items() for field in fields if field in known}
    config = kind(**{**sizes, "pad_token_id": None, "bos_token_id": None, "eos_token_id": None, **MORE.get(family, {})})
    weights = build_skeleton(config, repo).parameters()
    assert sum(weight.numel() for weight in weights) == table["about"]["parameters"]


def test_measuring_takes_no_memory() -> None:
    entry = next(entry for entry in catalog() if entry.repo == "openai/gpt-oss-120b")
    before = torch.get_default_device()
    assert measured_shape(entry.config, entry.repo).parameters > 116e9
    assert torch.get_default_device() == before


def test_a_line_is_replaced_or_added_in_its_own_table() -> None:
    changed = with_line(TEXT, "me/one", "shape", "{layers = 2}")
    assert tomllib.loads(changed)["me/one"]["shape"] == {"layers": 2}
    added = with_line(with_line(TEXT, "me/two", "shape", "{layers = 3}"), "me/one", "note", '"n"')
    assert tomllib.loads(added) == {"me/one": {**tomllib.loads(TEXT)["me/one"], "note": "n"},
                                    "me/two": {"about": {"parameters": 7}, "shape": {"layers": 3}}}
    assert "# more" in added
    assert tomllib.loads(without_line(added, "me/one", "shape"))["me/one"].keys() == {"about", "note"}
    assert without_line(added, "me/one", "config") == added


def test_a_field_is_replaced_in_its_own_table() -> None:
    assert tomllib.loads(with_field(TEXT, "me/two", "parameters", number(8_000_000)))["me/two"]["about"]["parameters"] == 8_000_000
    assert tomllib.loads(with_field(TEXT, "me/one", "name", '"c, d"'))["me/one"]["about"]["name"] == "c, d"
    with pytest.raises(KeyError):
        with_field(TEXT, "me/two", "licence", '"mit"')
