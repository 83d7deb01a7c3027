"""Small real models with random weights and a real tokenizer, of three families, written to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

CHATML = (
    "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
NO_SYSTEM = (
    "{%- for m in messages -%}{%- if m['role'] == 'system' -%}{{- raise_exception('no system role') -}}{%- endif -%}"
    "{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
SPECIAL = ["<|pad|>", "<|im_end|>", "<|im_start|>"]
TEXT = ("the quick brown fox jumps over the lazy dog while merhaba dünya iyi günler 你好 世界 hello world again and "
        "again numbers 0 1 2 3 4 5 6 7 8 9 User: Assistant: System: <think> </think> ") * 20


def tokenizer(template: str | None = CHATML) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=template)


def write(folder: Path, config: Any, template: str | None, dtype: torch.dtype = torch.float32, *, factor: float = 4,
          noise: float = 0) -> Path:
    """Write a model and its tokenizer. `factor`: of every matrix. `noise`: of vectors, so that a norm or bias left out shows."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():        # larger than usual: greedy choices are then far apart
            if parameter.ndim >= 2:
                parameter.mul_(factor)
            elif noise:
                parameter.add_(torch.randn_like(parameter) * noise)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=1, pad_token_id=0)
    model.save_pretrained(folder)
    tokenizer(template).save_pretrained(folder)
    return folder


def llama(folder: Path, *, template: str | None = CHATML, window: int = 512, dtype: torch.dtype = torch.float32, width: int = 64) -> Path:
    return write(folder, LlamaConfig(
        vocab_size=400, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=window, bos_token_id=None, eos_token_id=1, pad_token_id=0), template, dtype)


def sliding(folder: Path, *, window: int = 1024) -> Path:
    """Layers that look back 16 tokens beside layers that see everything."""
    return write(folder, Qwen3Config(
        vocab_size=400, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, max_position_embeddings=window, use_sliding_window=True, sliding_window=16,
        layer_types=["sliding_attention", "full_attention"], bos_token_id=None, eos_token_id=1, pad_token_id=0), CHATML, torch.float32)


def gpt2(folder: Path) -> Path:
    """Learned positions, another layer type, no chat template."""
    return write(folder, GPT2Config(
        vocab_size=400, n_embd=64, n_layer=2, n_head=2, n_positions=256, bos_token_id=1, eos_token_id=1, pad_token_id=0),
        None, torch.float32)


def mamba(folder: Path) -> Path:
    """A recurrent state instead of a key-value cache: the batched lane cannot run it."""
    return write(folder, MambaConfig(
        vocab_size=400, hidden_size=64, state_size=8, num_hidden_layers=2, bos_token_id=1, eos_token_id=1, pad_token_id=0),
        CHATML, torch.float32)
