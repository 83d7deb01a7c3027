"""Merges an adapter into its base: `python -m engine.finetune.trainer RUN_FOLDER --merge NAME`."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...checkpoint.config import parse_config, read_raw_config
from ...compat.heads import head_class
from ...models.model_class import auto_class
from ..checkpoints import BESIDE
from ..job import MERGED, RESULT, read_job
from ..plan import HEADED


def merge(folder: Path, target: str = MERGED) -> int:
    """Write the merged model into a new folder of the run's, `target`, in the data type of the base's own weights; also for QLoRA, whose
    adapter belongs to the weights in 4 bits, which are close to them. Safetensors only. Returns the exit code."""
    from peft import PeftModel
    from transformers import AutoTokenizer

    from .base import set_pad

    job = read_job(folder)
    name, source = job.plan.base.name, Path(job.base_folder)
    config = parse_config(read_raw_config(source, name), name)
    set_pad(config, AutoTokenizer.from_pretrained(source, trust_remote_code=False))
    if job.labels and job.plan.task in HEADED:
        config.id2label = dict(enumerate(job.labels))
        config.label2id = {label: at for at, label in enumerate(job.labels)}
    kind = head_class(job.plan.task, config) if job.plan.task in HEADED else auto_class(config)      # type: ignore[arg-type]
    assert kind is not None
    model = kind.from_pretrained(source, config=config, dtype="auto", use_safetensors=True, ignore_mismatched_sizes=True)
    merged = PeftModel.from_pretrained(model, str(folder / RESULT)).merge_and_unload()
    part = folder / target
    merged.save_pretrained(part)
    for path in (folder / BESIDE).glob("*"):
        if not (part / path.name).exists():
            shutil.copyfile(path, part / path.name)
    return 0
