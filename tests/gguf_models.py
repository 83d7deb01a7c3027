"""Small models as GGUF files, made by the format's own package from a folder with safetensors weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file

NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def llama(source: Path, path: Path, kind: str = "F32", *, architecture: str = "llama", without: str = "") -> Path:
    """The Llama in `source` as one file. `kind`: how its matrices are stored, "F32" or "Q8_0". `without`: a tensor to leave out."""
    import gguf

    config, words = json.loads((source / "config.json").read_text()), json.loads((source / "tokenizer.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_vocab_size(config["vocab_size"])
    vocabulary = sorted(words["model"]["vocab"], key=words["model"]["vocab"].get)
    vocabulary += [f"<|unused{index}|>" for index in range(config["vocab_size"] - len(vocabulary))]
    special = {each["content"] for each in words["added_tokens"] if each["special"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if word in special else 1 for word in vocabulary])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in words["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    template = source / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text())
    for name, weight in load_file(source / "model.safetensors").items():
        target = TOP.get(name) or re.sub(r"model\.layers\.(\d+)\.(.*)\.weight",
                                         lambda match: f"blk.{match[1]}.{NAMES[match[2]]}.weight", name)
        if target == without:
            continue
        weight = _rotated(weight.float(), target, heads, kv_heads)
        quantized = getattr(gguf.GGMLQuantizationType, kind if weight.ndim > 1 else "F32")
        writer.add_tensor(target, gguf.quants.quantize(weight.numpy(), quantized), raw_dtype=quantized)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gpt2(path: Path, *, without: str = "") -> Path:
    """A GPT-2 of one layer, all of whose weights are 0.5. `without`: the start of the names of tensors to leave out."""
    import gguf
    import numpy

    width, words = 32, 64
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(4 * width)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(words)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["t", "1", *(f"t{index}" for index in range(1, words - 1))])
    writer.add_token_types([1] * words)
    writer.add_token_merges(["t 1"])
    matrices = {"token_embd": (words, width), "position_embd": (1024, width), "blk.0.attn_qkv": (3 * width, width),
                "blk.0.attn_output": (width, width), "blk.0.ffn_up": (4 * width, width), "blk.0.ffn_down": (width, 4 * width)}
    sizes = {f"{name}.weight": size for name, size in matrices.items()} | {
        f"{name}.bias": size[:1] for name, size in matrices.items() if name.startswith("blk")} | {
        f"{name}.{part}": (width,) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm") for part in ("weight", "bias")}
    for name, size in sizes.items():
        if not without or not name.startswith(without):
            writer.add_tensor(name, numpy.full(size, 0.5, numpy.float32))
    if without:         # as many values as before
        writer.add_tensor("another.weight", numpy.zeros((8 * width, width), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _rotated(weight: torch.Tensor, name: str, heads: int, kv_heads: int) -> torch.Tensor:
    """llama.cpp rotates neighbours, transformers the halves of a head: rows of queries and keys stand in another order."""
    count = heads if "attn_q" in name else kv_heads if "attn_k" in name else 0
    if not count:
        return weight
    return weight.view(count, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape).contiguous()
