"""A tiny configuration for each family of causal language models, and a model of it with random weights.

Every family keeps what is special about it: sliding windows of 16 tokens beside full attention, state layers beside attention,
a few small experts, several rotary tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, PretrainedConfig

from . import tiny_models

VOCABULARY = 400            # at least that of tiny_models.tokenizer()
WINDOW = 512                # positions
SLIDING = 16                # tokens that a sliding layer sees
LAYERS = 2

# What families call the same things; each takes those that it knows.
SIZES = {**dict.fromkeys(("hidden_size", "n_embd", "d_model", "word_embed_proj_dim"), 64),
         **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"), 4),
         **dict.fromkeys(("intermediate_size", "ffn_dim"), 64),
         **dict.fromkeys(("n_positions", "max_position_embeddings", "max_seq_len"), WINDOW),
         **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"), 4),
         **dict.fromkeys(("num_experts_per_tok", "num_key_value_heads", "top_k", "moe_k"), 2),
         **dict.fromkeys(("topk_group", "n_group"), 1), "moe_intermediate_size": 32, "rotary_dim": 8, "vocab_size": VOCABULARY,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")

HEAD_DIM = {"head_dim": 16}
LATENT = {"num_key_value_heads": 4, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "kv_lora_rank": 8,
          "q_lora_rank": 8, "head_dim": 8}
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 32, "mamba_d_state": 8}
ALTERNATING = {"sliding_window": SLIDING, "layer_types": ["sliding_attention", "full_attention"]}
SHARED_LAYERS = {"sliding_window": SLIDING, "layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2,
                 "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": VOCABULARY, **HEAD_DIM}
DELTA = {"layer_types": ["linear_attention", "linear_attention", "full_attention"], "linear_num_key_heads": 2,
         "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 16,
         "shared_expert_intermediate_size": 32, **HEAD_DIM}
LONG_ROPE_AFTER = 64        # tokens after which the LongRoPE model uses other frequencies
LONG_ROPE = {"original_max_position_embeddings": LONG_ROPE_AFTER, "rope_parameters": {
    "rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": LONG_ROPE_AFTER,
    "short_factor": [1.0 + i / 8 for i in range(8)], "long_factor": [2.0 + i for i in range(8)]}}
LLAMA_3_ROPE = {"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "original_max_position_embeddings": WINDOW // 8,
                "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "rope_theta": 150_000.0, "factor": 16.0, "original_max_position_embeddings": WINDOW // 16,
        "beta_fast": 32.0, "beta_slow": 1.0}


@dataclass(frozen=True, slots=True)
class Family:
    """`changes`: what its configuration has besides the sizes. `factor`: of its matrices, so that greedy choices are far apart."""

    name: str
    kind: str               # model_type
    changes: dict[str, Any] = field(default_factory=dict)
    factor: float = 9

    def write(self, folder: Path) -> Path:
        layers = len(self.changes.get("layer_types", ())) or LAYERS
        return tiny_models.write(folder, tiny_config(self.kind, self.changes, layers), tiny_models.CHATML, factor=self.factor, noise=0.1)


def tiny_config(kind: str, changes: dict[str, Any], layers: int = LAYERS) -> PretrainedConfig:
    """The configuration of a tiny model of this model_type."""
    config_class = CONFIG_MAPPING[kind]
    known = config_class().to_dict()
    sizes = {**SIZES, **dict.fromkeys(LAYER_COUNTS, layers)}
    return config_class(**{**{name: size for name, size in sizes.items() if name in known}, **changes})


FAMILIES = (
    Family("Llama", "llama"),
    Family("Mistral", "mistral", {"sliding_window": SLIDING}),
    Family("Mixtral", "mixtral"),
    Family("Ministral", "ministral", {**ALTERNATING, **HEAD_DIM}),
    # Queries grow with their position, here from the 32nd token on.
    Family("Ministral 3", "ministral3", {"rope_parameters": {**YARN, "llama_4_scaling_beta": 0.1}, **HEAD_DIM}, factor=8),
    Family("Qwen 2", "qwen2", {"use_sliding_window": True, **ALTERNATING}),
    Family("Qwen 3", "qwen3", {"use_sliding_window": True, **ALTERNATING, **HEAD_DIM}, factor=8),
    Family("Qwen 3 MoE", "qwen3_moe", HEAD_DIM),
    Family("Qwen 3 Next", "qwen3_next", DELTA),
    Family("Qwen 3.5", "qwen3_5_text", DELTA),
    Family("Qwen 3.5 MoE", "qwen3_5_moe_text", DELTA),
    Family("Gemma", "gemma", HEAD_DIM, factor=20),
    Family("Gemma 2", "gemma2", {
        **ALTERNATING, **HEAD_DIM, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 5.0, "tie_word_embeddings": False}),
    Family("Gemma 3", "gemma3_text", {**ALTERNATING, **HEAD_DIM, "query_pre_attn_scalar": 16}, factor=1),
    Family("Gemma 3n", "gemma3n_text", {**SHARED_LAYERS, "laurel_rank": 8, "altup_num_inputs": 2}, factor=1.5),
    Family("Gemma 4", "gemma4_text", {**SHARED_LAYERS, "global_head_dim": 32}, factor=1.5),
    Family("Gemma 4 MoE", "gemma4_text", {
        **ALTERNATING, **HEAD_DIM, "global_head_dim": 32, "hidden_size_per_layer_input": 0, "attention_k_eq_v": True,
        "num_global_key_value_heads": 1, "enable_moe_block": True, "num_experts": 4, "top_k_experts": 2,
        "moe_intermediate_size": 32}, factor=2),
    Family("Phi", "phi"),
    Family("Phi 3", "phi3", {"sliding_window": SLIDING}),
    Family("Phi 3 LongRoPE", "phi3", LONG_ROPE),
    Family("StableLM", "stablelm"),
    Family("StableLM 2", "stablelm", {"use_parallel_residual": True, "qk_layernorm": True}),
    Family("Nemotron", "nemotron", HEAD_DIM),
    Family("Nemotron-H", "nemotron_h", {
        "layer_types": ["linear_attention", "full_attention", "moe", "linear_attention", "mlp"], **HEAD_DIM, "mamba_num_heads": 8,
        "mamba_head_dim": 16, "n_groups": 2, "ssm_state_size": 8, "chunk_size": 16, "moe_shared_expert_intermediate_size": 32}),
    Family("DiffLlama", "diffllama", factor=8),
    Family("Moshi", "moshi"),
    Family("HRM", "hrm_text", {**HEAD_DIM, "H_cycles": 2, "L_cycles": 2}),
    Family("Falcon", "falcon"),
    Family("Falcon 40B", "falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    Family("Falcon RW", "falcon", {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True}, factor=20),
    Family("MPT", "mpt"),
    Family("BLOOM", "bloom", factor=16),
    Family("OPT", "opt", factor=16),
    Family("GPT-2", "gpt2"),
    Family("GPT-J", "gptj"),
    Family("GPT-NeoX", "gpt_neox"),
    Family("GPTBigCode", "gpt_bigcode", {"num_key_value_heads": 1}),
    Family("Starcoder 2", "starcoder2", {"sliding_window": SLIDING}, factor=20),
    Family("OLMo", "olmo"),
    Family("OLMo 2", "olmo2"),
    Family("OLMo 3", "olmo3", ALTERNATING, factor=8),
    Family("Cohere", "cohere", {"use_qk_norm": True}),
    Family("Cohere 2", "cohere2", ALTERNATING),
    Family("Granite", "granite", {
        "embedding_multiplier": 2.0, "attention_multiplier": 0.25, "residual_multiplier": 0.5, "logits_scaling": 0.5}),
    Family("Granite MoE", "granitemoe", {"attention_multiplier": 0.25}),
    Family("Granite 4", "granitemoehybrid", {
        "layer_types": ["linear_attention", "full_attention", "linear_attention"], **MAMBA, "mamba_chunk_size": 16,
        "attention_multiplier": 0.25, "shared_intermediate_size": 32}, factor=7),
    Family("GLM", "glm", HEAD_DIM),
    Family("GLM 4", "glm4", HEAD_DIM),
    Family("gpt-oss", "gpt_oss", {**ALTERNATING, **HEAD_DIM, "rope_parameters": YARN}),
    Family("LFM2", "lfm2", {"layer_types": ["conv", "full_attention", "conv"]}),
    Family("LFM2 MoE", "lfm2_moe", {"layer_types": ["conv", "full_attention", "conv"], "num_dense_layers": 1}),
    Family("LFM3", "lfm3", {"layer_types": ["conv", "sliding_attention", "full_attention"], "sliding_window": SLIDING, **HEAD_DIM}),
    Family("SmolLM3", "smollm3", {"no_rope_layers": [1, 0]}),
    Family("Llama 4", "llama4_text", {
        **HEAD_DIM, "no_rope_layers": [1, 0], "attention_chunk_size": 32, "floor_scale": 16, "moe_layers": [1],
        "intermediate_size_mlp": 64, "num_experts_per_tok": 1}),
    Family("ERNIE 4.5", "ernie4_5", HEAD_DIM),
    Family("ERNIE 4.5 MoE", "ernie4_5_moe"),
    Family("Hunyuan", "hunyuan_v1_dense", HEAD_DIM),
    Family("EXAONE 4", "exaone4", ALTERNATING),
    Family("Helium", "helium", HEAD_DIM),
    Family("Seed-OSS", "seed_oss", HEAD_DIM),
    Family("Arcee", "arcee"),
    Family("Apertus", "apertus", {"rope_parameters": LLAMA_3_ROPE}),
    Family("DeepSeek V2", "deepseek_v2", {**LATENT, "first_k_dense_replace": 1}),
    Family("DeepSeek V3", "deepseek_v3", {**LATENT, "first_k_dense_replace": 1}),
    Family("Mamba", "mamba", {"state_size": 8}),
    Family("Mamba 2", "mamba2", {"num_heads": 8, "head_dim": 16, "n_groups": 2, "state_size": 8, "chunk_size": 16}),
    Family("Bamba", "bamba", {"num_hidden_layers": 3, "attn_layer_indices": [1], **MAMBA, "mamba_chunk_size": 16}),
)
