"""The internals by which GGUF files are read one weight at a time. If a test fails, read the new version's source."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GgufConfig

from engine.compat.gguf import StoredRows, is_gguf_architecture, read_values, reads_by_rows
from tests import gguf_models


def test_every_weight_is_read_as_transformers_reads_it(llama_folder: Path, tmp_path: Path) -> None:
    path = gguf_models.llama(llama_folder, tmp_path / "a.gguf", "Q8_0")
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="a.gguf", dtype=torch.float32,
                                                 quantization_config=GgufConfig(dequantize=True))
    linear = {f"{name}.weight" for name, layer in model.named_modules() if type(layer) is torch.nn.Linear}
    values = read_values(path, model, linear, torch.float32)
    assert {name for name, value in values.items() if isinstance(value, StoredRows)} == linear
    for name, expected in model.state_dict().items():
        value = values[name]
        assert torch.equal(torch.from_numpy(value.rows(0, len(expected))) if isinstance(value, StoredRows) else value, expected), name


def test_architectures_are_known_by_the_names_of_the_format() -> None:
    assert all(map(is_gguf_architecture, ("llama", "qwen2", "qwen3", "qwen3moe", "gemma3", "phi3", "qwen35", "gpt-oss")))
    assert not any(map(is_gguf_architecture, ("mpt", "clip", "general", "tokenizer")))
    assert [reads_by_rows(name) for name in ("llama", "qwen3", "gpt2", "qwen35")] == [True, True, False, False]
