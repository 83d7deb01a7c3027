"""Tiny models with random weights that read pictures and text, each with its processor, written to a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForImageTextToText, GenerationConfig

from . import tiny_models
from .families import DELTA, SHARED_LAYERS

VOCABULARY = 424        # with TOKENS
TEXT = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64, "num_hidden_layers": 2,
        "vocab_size": VOCABULARY, "max_position_embeddings": 512, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
VISION = {"hidden_size": 32, "num_attention_heads": 2, "num_heads": 2, "intermediate_size": 48, "num_hidden_layers": 2, "depth": 2,
          "image_size": 32, "patch_size": 8, "out_hidden_size": 64, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
          "spatial_merge_size": 2, "head_dim": 16}
SIZE = {"height": 32, "width": 32}
TOKENS = ("<image>", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
          "<start_of_image>", "<end_of_image>", "<image_soft_token>", "<|vision_start|>", "<|vision_end|>",
          "<|image_pad|>", "<|video_pad|>", "<|audio|>")


def template(picture: str) -> str:
    """A chat template that writes `picture` for each picture."""
    return ("{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\n' -}}{%- if m['content'] is string -%}{{- m['content'] -}}"
            "{%- else -%}{%- for part in m['content'] -%}{%- if part['type'] == 'image' -%}{{- '" + picture + "' -}}"
            "{%- else -%}{{- part['text'] -}}{%- endif -%}{%- endfor -%}{%- endif -%}{{- '<|im_end|>\n' -}}{%- endfor -%}"
            "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}")


@dataclass(frozen=True, slots=True)
class VisionFamily:
    """`picture`: what its chat template writes for a picture. `token`: the token that is repeated for a picture."""

    name: str
    kind: str
    picture: str
    token: str
    image_processor: str        # its class; "" for LFM2-VL, whose class needs torchvision
    image_options: dict[str, Any] = field(default_factory=dict)
    processor_options: dict[str, Any] = field(default_factory=dict)
    text: dict[str, Any] = field(default_factory=dict)
    vision: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    special: dict[str, str] = field(default_factory=dict)       # tokens that the tokenizer has names for
    by: str = "MindCubes' own"      # whose forward pass runs it

    def write(self, folder: Path) -> Path:
        tokenizer = tiny_models.tokenizer(template(self.picture))
        tokenizer.add_special_tokens({"additional_special_tokens": list(TOKENS)}, replace_extra_special_tokens=False)
        tokenizer = type(tokenizer)(tokenizer_object=tokenizer.backend_tokenizer, eos_token=tokenizer.eos_token,
                                    pad_token=tokenizer.pad_token, chat_template=tokenizer.chat_template, extra_special_tokens=self.special)
        config = self._config(tokenizer)
        torch.manual_seed(1)
        model = AutoModelForImageTextToText.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():        # larger than usual: greedy choices are then far apart
                if not parameter.any() and parameter.ndim >= 2:     # Gemma's projection: pictures would all be the same
                    parameter.normal_(0, 0.3)
                elif parameter.ndim >= 2:
                    parameter.mul_(4)
        model.generation_config = GenerationConfig(do_sample=False, eos_token_id=1, pad_token_id=0)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if self.image_processor:
            getattr(transformers, self.image_processor)(**self.image_options).save_pretrained(folder)
        else:
            (folder / "preprocessor_config.json").write_text(json.dumps(self.image_options))
        (folder / "processor_config.json").write_text(json.dumps(self.processor_options))
        return folder

    def _config(self, tokenizer: Any) -> Any:
        config_class = CONFIG_MAPPING[self.kind]
        default = config_class()
        parts = {}
        for part, sizes, own in (("text_config", TEXT, self.text), ("vision_config", VISION, self.vision)):
            kind = own.get("model_type") or getattr(default, part).model_type
            known = CONFIG_MAPPING[kind]().to_dict()
            parts[part] = {**{name: size for name, size in sizes.items() if name in known}, **own, "model_type": kind}
        name = "image_token_index" if self.kind in ("llava", "mistral3") else "image_token_id"
        ids = {name: tokenizer.convert_tokens_to_ids(self.token)}
        return config_class(**parts, **ids, **{key: tokenizer.convert_tokens_to_ids(value) if isinstance(value, str) else value
                                               for key, value in self.config.items()}, tie_word_embeddings=False)



MROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3], "mrope_interleaved": True}
QWEN_IMAGES = {"size": {"shortest_edge": 256, "longest_edge": 4096}, "patch_size": 8}
QWEN_TOKENS = {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>", "video_token_id": "<|video_pad|>"}

FAMILIES = (
    VisionFamily("LLaVA", "llava", "<image>", "<image>", "LlavaImageProcessorPil",
                 {"size": {"shortest_edge": 32}, "crop_size": SIZE},
                 {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}),
    # Cut into tiles, each with tokens around it.
    VisionFamily("Idefics 3", "idefics3", "<image>", "<image>", "Idefics3ImageProcessorPil",
                 {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}, {"image_seq_len": 4}, config={"scale_factor": 2}),
    # The tokens of a picture see each other in both directions.
    VisionFamily("Gemma 3", "gemma3", "<start_of_image>", "<image_soft_token>", "Gemma3ImageProcessorPil",
                 {"size": SIZE, "do_pan_and_scan": False}, {"image_seq_length": 4},
                 {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
                 config={"mm_tokens_per_image": 4, "boi_token_index": "<start_of_image>", "eoi_token_index": "<end_of_image>"},
                 special={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}),
    VisionFamily("SmolVLM", "smolvlm", "<image>", "<image>", "SmolVLMImageProcessorPil",
                 {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}, {"image_seq_len": 4}, config={"scale_factor": 2}),
    # A token ends each row of a picture.
    VisionFamily("Mistral 3", "mistral3", "[IMG]", "[IMG]", "PixtralImageProcessorPil", {"size": {"longest_edge": 64}, "patch_size": 8},
                 {"patch_size": 8, "spatial_merge_size": 2}, config={"spatial_merge_size": 2}),
    # Positions of three axes, and features that are added to the first layers.
    VisionFamily("Qwen3-VL", "qwen3_vl", "<|vision_start|><|image_pad|><|vision_end|>", "<|image_pad|>", "Qwen2VLImageProcessorPil",
                 QWEN_IMAGES, text={"rope_parameters": MROPE}, config=QWEN_TOKENS),
    # Layers with a state: transformers' own forward pass reads the pictures.
    VisionFamily("Qwen3.5", "qwen3_5", "<|vision_start|><|image_pad|><|vision_end|>", "<|image_pad|>", "Qwen2VLImageProcessorPil",
                 QWEN_IMAGES, text={"rope_parameters": {**MROPE, "partial_rotary_factor": 1.0}, **DELTA, "num_hidden_layers": 3},
                 config=QWEN_TOKENS, by="transformers'"),
    VisionFamily("LFM2-VL", "lfm2_vl", "<image>", "<image>", "",
                 {"tile_size": 32, "encoder_patch_size": 8, "min_image_tokens": 1, "max_image_tokens": 4, "min_tiles": 2, "max_tiles": 4},
                 text={"layer_types": ["conv", "full_attention", "conv"], "num_hidden_layers": 3}, vision={"num_patches": 16},
                 special={"image_token": "<image>"}, by="transformers'"),
    # Embeddings of each layer, and keys that layers share; the tokens of a picture see each other in layers with a window.
    VisionFamily("Gemma 4", "gemma4", "<image_soft_token>", "<image_soft_token>", "Gemma4ImageProcessorPil",
                 {"patch_size": 8, "max_soft_tokens": 70, "pooling_kernel_size": 2}, {"image_seq_length": 70},
                 {**SHARED_LAYERS, "vocab_size_per_layer_input": VOCABULARY, "global_head_dim": 32, "num_hidden_layers": 4,
                  "use_bidirectional_attention": "vision"},
                 {"model_type": "gemma4_vision", "num_key_value_heads": 2, "pooling_kernel_size": 2, "position_embedding_size": 64},
                 special={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>",
                          "audio_token": "<|audio|>", "boa_token": "<|audio|>", "eoa_token": "<|audio|>"}, by="transformers'"),
)
