"""Writes a model with random weights and a real tokenizer, to measure speed without a download.

    python -m benchmarks.make_model bench-models/110m            # Qwen3-like, 110 M parameters, bf16
    python -m benchmarks.make_model bench-models/1b --size 1b    # for a GPU; tiny: to test the other scripts

The replies make no sense, but take exactly as long as those of a trained model. The model never ends a reply by itself.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
             "head_dim": 32, "intermediate_size": 128},
    "110m": {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
             "head_dim": 64, "intermediate_size": 1536},
    "1b": {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 8,
           "head_dim": 128, "intermediate_size": 6144},
    "8b": {"hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
           "head_dim": 128, "intermediate_size": 12288},
}
VOCABULARY = 8192
WINDOW = 4096


def make(folder: Path, size: str = "110m", seed: int = 0) -> int:
    """Write the model into `folder` and return its number of parameters."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    tokenizer = make_tokenizer(VOCABULARY)
    config = Qwen3Config(vocab_size=VOCABULARY, max_position_embeddings=WINDOW, tie_word_embeddings=True,
                         bos_token_id=None, eos_token_id=1, pad_token_id=0, **SIZES[size])
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = Qwen3ForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)
    # Token 1 ends a reply. It never does: its (tied) row equals that of token 0, and of two equal logits greedy decoding takes the first.
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=1, pad_token_id=0)
    with torch.no_grad():
        model.model.embed_tokens.weight[:2] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def make_tokenizer(size: int) -> Any:
    """Train a byte-level BPE tokenizer on invented words. Its chat template is ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(0)
    syllables = [a + b for a in "bcdfghklmnprstvz" for b in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(20_000)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator([" ".join(words)], trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|pad|>", "<|im_end|>", "<|im_start|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|pad|>", model_max_length=WINDOW,
        chat_template="{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' -}}"
                      "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="110m")
    options = parser.parse_args()
    count = make(options.folder, options.size)
    print(f"{options.folder}: {count:,} parameters")


if __name__ == "__main__":
    main()
