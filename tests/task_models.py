"""Tiny random models with the head of a task, and a tokenizer that marks the beginning and the end of a text as BERT's does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

TEXT = "Ada Lovelace wrote the first program in London . Zeynep Ankara şehrinde yaşıyor . 你好 世界 good bad film book what who where is it"
LABELS = {"text-classification": ["bad", "good", "mixed"], "token-classification": ["O", "B-PER", "I-PER", "B-LOC"]}
SIZES: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                         "max_position_embeddings": 64}
CLASSES = {"text-classification": BertForSequenceClassification, "token-classification": BertForTokenClassification,
           "question-answering": BertForQuestionAnswering, "fill-mask": BertForMaskedLM, "none": BertModel}


def tokenizer(is_t5: bool = False) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *sorted(set(TEXT.split()))]
    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", special_tokens=[("[SEP]", 3)]) if is_t5 else processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
                                   mask_token="[MASK]", eos_token="[SEP]")


def encoder(folder: Path, task: str, **changes: Any) -> Path:
    words = tokenizer()
    labels = LABELS.get(task, ["LABEL_0", "LABEL_1"])
    named = {"id2label": dict(enumerate(labels)), "label2id": {label: at for at, label in enumerate(labels)}}
    config = BertConfig(vocab_size=len(words), pad_token_id=0, **{**SIZES, **named, **changes})
    return _saved(CLASSES[task](config), words, folder)


def t5(folder: Path) -> Path:
    words = tokenizer(is_t5=True)
    config = T5Config(vocab_size=len(words), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, pad_token_id=0, eos_token_id=3,
                      decoder_start_token_id=0, n_positions=64, task_specific_params={
                          "summarization": {"prefix": "what : "}, "translation_en_to_de": {"prefix": "who : "}})
    return _saved(T5ForConditionalGeneration(config), words, folder)


def _saved(model: torch.nn.Module, words: PreTrainedTokenizerFast, folder: Path) -> Path:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():       # larger than usual, so that scores are far apart
            weight.copy_(torch.randn(weight.shape, generator=generator) * (0.5 if weight.ndim > 1 else 0.2))
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
