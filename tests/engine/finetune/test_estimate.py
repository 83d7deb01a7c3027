"""Estimates for machines of any size, counted on the model's own code, without training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine import ModelSpec, Settings
from engine.errors import DiskFull, InvalidRequest, NotEnoughMemory, UnsupportedModel
from engine.finetune.bases import find_base
from engine.finetune.estimate import Machine, estimate
from engine.finetune.inputs import require_room
from engine.finetune.plan import FineTunePlan, Method, Task, TrainingOptions
from engine.finetune.recommended import complete, require_valid
from engine.finetune.run import PARTS, Estimate
from engine.finetune.sizes import Sizes
from engine.hardware import detect
from engine.models.memory import Verdict
from tests.stored_models import gptq

SETTINGS = Settings(device="cpu")
GIB = 1 << 30
LONG = Sizes(rows=100, tokens=20_000, held_rows=10, held_tokens=2_000, longest=500)


def plan(base: str | Path, task: Task = "chat", method: Method = "lora", **options: object) -> FineTunePlan:
    made = FineTunePlan(task, "", {}, ModelSpec(str(base)), method, options=replace(TrainingOptions(), **options))    # type: ignore[arg-type]
    return complete(made, 256, 2048)


def judged(made: FineTunePlan, free_bytes: int, *, held_bytes: int = 0, disk: int = 100 * GIB, sizes: Sizes = LONG) -> Estimate:
    return estimate(made, find_base(made, SETTINGS), sizes, Machine(detect("cpu"), free_bytes, held_bytes, disk))


def test_every_part_is_named_and_a_large_machine_takes_the_whole_batch_at_once() -> None:
    found = judged(plan("builtin"), 64 * GIB)
    assert tuple(part.key for part in found.parts) == PARTS
    assert (found.verdict, found.remedy, found.micro_batch) == (Verdict.FITS, "", 8)
    assert not found.has_checkpointing
    assert not found.must_unload
    assert found.steps == 39        # 100 examples in batches of 8, three times
    assert found.trained_parameters == 393_216      # ranks of 16 in 42 layers of the built-in model, as peft counts them


def test_a_small_machine_divides_the_batch_and_then_computes_activations_twice() -> None:
    whole = judged(plan("builtin"), 64 * GIB)
    fixed = sum(part.bytes for part in whole.parts if part.key not in ("activations", "logits"))
    half = judged(plan("builtin"), round((fixed + (whole.needed_bytes - fixed) * 0.6) / 0.85))
    assert half.micro_batch == 4
    assert not half.has_checkpointing
    assert half.verdict is Verdict.FITS
    least = judged(plan("builtin"), round((fixed + (whole.needed_bytes - fixed) * 0.11) / 0.85))
    assert (least.micro_batch, least.has_checkpointing) == (1, True)


def test_what_cannot_fit_is_refused_with_what_helps() -> None:
    found = judged(plan("builtin", method="full"), 660 << 20)
    assert found.verdict is Verdict.TOO_LARGE
    assert not found.can_start
    with pytest.raises(NotEnoughMemory, match="only"):
        require_room(found, "builtin")
    assert judged(plan("builtin", method="full"), 830 << 20, sizes=replace(LONG, longest=10)).remedy == "lora"
    full_disk = judged(plan("builtin"), 64 * GIB, disk=1 << 20)
    assert full_disk.remedy == "free_disk"
    with pytest.raises(DiskFull):
        require_room(full_disk, "builtin")


def test_the_chat_model_is_unloaded_only_if_there_is_no_room_beside_it() -> None:
    needed = judged(plan("builtin"), 64 * GIB).needed_bytes
    assert not judged(plan("builtin"), 2 * needed, held_bytes=GIB).must_unload
    tight = judged(plan("builtin"), needed // 2, held_bytes=2 * needed)
    assert tight.must_unload
    assert tight.verdict is Verdict.FITS


def test_qlora_holds_less_than_lora_and_lora_less_than_all_weights() -> None:
    """Where the weights are most of it: on a machine without the process's own memory, and with one short example."""
    short = replace(LONG, longest=16)
    methods: tuple[Method, ...] = ("qlora", "lora", "full")
    sizes = {method: sum(part.bytes for part in judged(plan("builtin", method=method, lora_rank=2), 64 * GIB, sizes=short).parts
                         if part.key in ("weights", "adapter", "gradients", "optimizer")) for method in methods}
    assert sizes["qlora"] < sizes["lora"] < 0.6 * sizes["full"]


def test_recurrent_models_and_heads_are_counted_too(mamba_folder: Path, gpt2_folder: Path) -> None:
    for folder, task in ((mamba_folder, "text-classification"), (gpt2_folder, "token-classification"), (gpt2_folder, "question-answering")):
        found = judged(plan(folder, task), 64 * GIB, sizes=replace(LONG, longest=32))       # type: ignore[arg-type]
        parts = {part.key: part.bytes for part in found.parts}
        assert parts["activations"] > 0
        assert parts["logits"] == 0


def test_stored_quantized_weights_are_refused_with_the_reason(tmp_path: Path, llama_folder: Path) -> None:
    with pytest.raises(UnsupportedModel, match="cannot be trained: choose the model that it was made of"):
        find_base(plan(gptq(llama_folder, tmp_path / "gptq")), SETTINGS)


@pytest.mark.parametrize(("changes", "name"), [
    ({"epochs": float("nan")}, "epochs"), ({"batch_size": 0}, "batch_size"), ({"learning_rate": 5.0}, "learning_rate"),
    ({"lora_rank": 10_000}, "lora_rank"), ({"seed": -1}, "seed")])
def test_impossible_options_are_refused_by_name(changes: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name} is"):
        require_valid(plan("builtin", **changes))


def test_qlora_of_a_headed_task_and_a_base_on_another_server_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="lora or full for this task"):
        require_valid(plan("builtin", "text-classification", "qlora"))
    with pytest.raises(InvalidRequest, match="a model on this machine"):
        require_valid(plan("remote:server"))
