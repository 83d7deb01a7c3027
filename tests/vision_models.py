"""Tiny models with random weights that read pictures and text, each with its processor, written to a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForImageTextToText, GenerationConfig

from . import tiny_models

TEXT = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64, "num_hidden_layers": 2,
        "vocab_size": 416, "max_position_embeddings": 512, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
VISION = {"hidden_size": 32, "num_attention_heads": 2, "num_heads": 2, "intermediate_size": 48, "num_hidden_layers": 2, "depth": 2,
          "image_size": 32, "patch_size": 8, "out_hidden_size": 64, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
          "spatial_merge_size": 2, "head_dim": 16}
SIZE = {"height": 32, "width": 32}
TOKENS = ("<image>", "[IMG]", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<start_of_image>", "<end_of_image>",
          "<image_soft_token>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


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
    processor: str = ""
    image_processor: str = ""
    image_options: dict[str, Any] = field(default_factory=dict)
    processor_options: dict[str, Any] = field(default_factory=dict)
    text: dict[str, Any] = field(default_factory=dict)
    vision: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    special: dict[str, str] = field(default_factory=dict)       # tokens that the tokenizer has names for

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
        if not self.processor:
            return folder
        images = getattr(transformers, self.image_processor)(**self.image_options)
        processor = getattr(transformers, self.processor)(
            image_processor=images, tokenizer=tokenizer, chat_template=template(self.picture), **self.processor_options)
        processor.save_pretrained(folder)
        return folder

    def _config(self, tokenizer: Any) -> Any:
        config_class = CONFIG_MAPPING[self.kind]
        default = config_class()
        parts = {}
        for part, sizes, own in (("text_config", TEXT, self.text), ("vision_config", VISION, self.vision)):
            known = getattr(default, part).to_dict()
            parts[part] = {**{name: size for name, size in sizes.items() if name in known}, **own,
                           "model_type": getattr(default, part).model_type}
        name = "image_token_index" if self.kind in ("llava", "mistral3") else "image_token_id"
        ids = {name: tokenizer.convert_tokens_to_ids(self.token)}
        return config_class(**parts, **ids, **{key: tokenizer.convert_tokens_to_ids(value) if isinstance(value, str) else value
                                               for key, value in self.config.items()}, tie_word_embeddings=False)


FAMILIES = (
    VisionFamily("LLaVA", "llava", "<image>", "<image>", "LlavaProcessor", "LlavaImageProcessorPil",
                 {"size": {"shortest_edge": 32}, "crop_size": SIZE},
                 {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}),
    # Cut into tiles, each with tokens around it.
    VisionFamily("Idefics 3", "idefics3", "<image>", "<image>", "Idefics3Processor", "Idefics3ImageProcessorPil",
                 {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}, {"image_seq_len": 4}, config={"scale_factor": 2}),
    # The tokens of a picture see each other in both directions.
    VisionFamily("Gemma 3", "gemma3", "<start_of_image>", "<image_soft_token>", "Gemma3Processor", "Gemma3ImageProcessorPil",
                 {"size": SIZE, "do_pan_and_scan": False}, {"image_seq_length": 4},
                 {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
                 config={"mm_tokens_per_image": 4, "boi_token_index": "<start_of_image>", "eoi_token_index": "<end_of_image>"},
                 special={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}),
)

# Their processors need torchvision, so only their text part is tested here.
TEXT_ONLY = (
    VisionFamily("Mistral 3", "mistral3", "[IMG]", "[IMG]", config={"spatial_merge_size": 2}),
    VisionFamily("Qwen3-VL", "qwen3_vl", "<|image_pad|>", "<|image_pad|>", text={"rope_parameters": {
        "rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3], "mrope_interleaved": True}},
        config={"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>", "video_token_id": "<|video_pad|>"}),
)
