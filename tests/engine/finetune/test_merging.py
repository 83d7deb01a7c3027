"""A merged model computes what its base and the adapter compute together."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.finetune.job import MERGED, RESULT
from engine.finetune.trainer.merging import merge

from .training import dialogues, ended, run, write


def test_a_merged_model_equals_its_base_with_the_adapter(tmp_path: Path, llama_folder: Path) -> None:
    folder = write(tmp_path / "run", llama_folder, "chat", dialogues(8), dialogues(2), learning_rate=1e-2)
    assert ended(run(folder)).has_result
    assert merge(folder) == 0

    tokenizer = AutoTokenizer.from_pretrained(folder / MERGED)
    ids = torch.tensor([tokenizer("Who is number 3?")["input_ids"]])
    base = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32).eval()
    merged = AutoModelForCausalLM.from_pretrained(folder / MERGED, dtype=torch.float32).eval()
    with torch.no_grad():
        found, without = merged(ids).logits, base(ids).logits
        expected = PeftModel.from_pretrained(base, str(folder / RESULT)).eval()(ids).logits
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, without, atol=1e-2)       # the adapter changes something
    assert list((folder / MERGED).glob("*.safetensors"))
    assert not list((folder / MERGED).glob("*.bin"))
