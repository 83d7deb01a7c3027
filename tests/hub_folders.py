"""Folders as models have them on the hub, with real safetensors headers; made in milliseconds, never loaded."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "vocab_size": 400}
KIB = 1024


def write_weights(path: Path, tensors: Mapping[str, tuple[int, ...]], note: str = "") -> Path:
    """A safetensors file of 16-bit tensors with these sizes, filled with noise; `note` makes its header longer."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "note": note}}
    offset = 0
    for name, sizes in tensors.items():
        length = 2
        for size in sizes:
            length *= size
        header[name] = {"dtype": "BF16", "shape": list(sizes), "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + random.Random(path.name).randbytes(offset))
    return path


def model(folder: Path, *, kib: int = 64, config: Mapping[str, Any] = CONFIG) -> Path:
    """One weight file of about `kib` KiB, a configuration, a tokenizer, and what nobody needs."""
    describe(folder, config)
    write_weights(folder / "model.safetensors", {"model.embed_tokens.weight": (4, 64), "model.norm.weight": (64,),
                                                 "model.layers.0.mlp.up_proj.weight": (kib * KIB // 128, 64)})
    return folder


def sharded(folder: Path, *, num_shards: int = 3) -> Path:
    """Shards with their index, and beside them the same weights once more in another layout."""
    describe(folder, CONFIG)
    names = {f"layer.{i}.weight": f"model-0000{i + 1}-of-0000{num_shards}.safetensors" for i in range(num_shards)}
    for tensor, name in names.items():
        write_weights(folder / name, {tensor: (64, 64)})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    write_weights(folder / "consolidated.safetensors", dict.fromkeys(names, (64, 64)))
    write_weights(folder / "original" / "model.safetensors", dict.fromkeys(names, (64, 64)))
    return folder


def claimed(folder: Path, parameters: int) -> Path:
    """A model whose header claims this many parameters, without their bytes."""
    describe(folder, CONFIG)
    header = json.dumps({"model.norm.weight": {"dtype": "BF16", "shape": [parameters], "data_offsets": [0, 2 * parameters]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


def pickled(folder: Path) -> Path:
    describe(folder, CONFIG)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


def describe(folder: Path, config: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\n\nIt says hello.\n")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (folder / "training_args.bin").write_bytes(b"pickle")
