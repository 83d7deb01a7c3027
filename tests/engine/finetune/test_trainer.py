"""Training in this process, on tiny models with random weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.finetune.checkpoints import best, complete_checkpoints, metrics_of, newest
from engine.finetune.job import CHECKPOINTS, RESULT
from engine.finetune.plan import Method
from engine.finetune.run import Point

from .training import dialogues, ended, losses, run, scores, texts, write


@pytest.mark.parametrize(("method", "steps"), [("lora", 3), ("full", 4)])
def test_a_run_that_is_stopped_and_resumed_has_the_losses_of_one_that_is_not(
        tmp_path: Path, llama_folder: Path, method: Method, steps: int) -> None:
    """Stopped in the middle of an epoch and at its end; batches are computed in two parts, and the last of an epoch is smaller."""
    train, held = dialogues(15), dialogues(3)
    expected = run(write(tmp_path / "whole", llama_folder, "chat", train, held, method=method, micro_batch=2))
    parts = write(tmp_path / "parts", llama_folder, "chat", train, held, method=method, micro_batch=2)

    first = run(parts, stop_after=steps)
    assert ended(first).stop_kind == "person"
    assert len(losses(first)) == newest(parts) == steps

    found = run(parts)
    assert ended(found).stop_kind == "finished"
    assert losses(found) == losses(expected)
    assert len(losses(found)) == 8
    assert scores(found)[-1] == scores(expected)[-1]
    same = [load_file(folder / RESULT / name) for folder in (tmp_path / "whole", parts)
            for name in ("adapter_model.safetensors" if method == "lora" else "model.safetensors",)]
    assert all(torch.equal(same[0][name], same[1][name]) for name in same[0])


def test_early_stopping_keeps_the_best_checkpoint_and_not_the_last(tmp_path: Path, llama_folder: Path) -> None:
    """What is held back contradicts what is trained, so every measurement after the first is worse."""
    train = tuple(replace(each, label=0) for each in texts(8))
    held = tuple(replace(each, label=1) for each in texts(8))
    folder = write(tmp_path / "run", llama_folder, "text-classification", train, held, method="full", labels=("no", "yes"),
                   epochs=20, patience=2, learning_rate=3e-3)

    events = run(folder)

    assert ended(events).stop_kind == "early"
    measured = [event.eval_loss for event in events if isinstance(event, Point) and event.eval_loss is not None]
    assert len(measured) < 10
    assert best(folder) == ended(events).best < max(complete_checkpoints(folder))
    after = scores(events)[-1].metrics
    assert after == metrics_of(folder, ended(events).best or 0)
    name = f"checkpoint-{ended(events).best}/model.safetensors"
    assert (folder / RESULT / "model.safetensors").read_bytes() == (folder / CHECKPOINTS / name).read_bytes()


def test_a_loss_that_is_not_a_number_ends_with_the_reason_and_the_last_good_checkpoint(tmp_path: Path, llama_folder: Path) -> None:
    folder = write(tmp_path / "run", llama_folder, "chat", dialogues(8), dialogues(2))
    run(folder, stop_after=2)
    good = load_file(folder / RESULT / "adapter_model.safetensors")
    checkpoint = folder / CHECKPOINTS / "checkpoint-2" / "adapter_model.safetensors"
    tensors = load_file(checkpoint)
    tensors[next(iter(tensors))][0] = math.inf      # as after a step that was too large
    save_file(tensors, checkpoint, {"format": "pt"})

    events = run(folder)

    assert "The loss of step 3 is nan" in ended(events).reason
    assert "lower learning rate" in ended(events).reason
    assert ended(events).best == 2
    assert newest(folder) == 2
    assert good.keys() == tensors.keys()
