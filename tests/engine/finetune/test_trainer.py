"""Training in this process, on tiny models with random weights."""

from __future__ import annotations

import json
import math
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from engine import Settings, pipelines
from engine.finetune.checkpoints import best, complete_checkpoints, metrics_of, newest
from engine.finetune.events import Event, EventWriter, InPhase, read_events
from engine.finetune.examples import Answered, PlainText, TaggedWords
from engine.finetune.job import CHECKPOINTS, MERGED, RESULT, STOP, read_job, write_job
from engine.finetune.plan import Method
from engine.finetune.run import Point
from engine.finetune.trainer.merging import merge
from engine.finetune.trainer.process import TrainerProcess
from engine.pipelines import TaskInput
from tests import task_models

from .training import WORDS, dialogues, ended, losses, run, scores, texts, write


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


def test_a_full_disk_ends_with_the_reason_and_the_last_good_checkpoint(tmp_path: Path, llama_folder: Path) -> None:
    """The system refuses to write files beyond a size, as a full disk does: the weights of the second checkpoint."""
    folder = write(tmp_path / "run", llama_folder, "chat", dialogues(8), dialogues(2), method="full")
    run(folder, stop_after=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        events = run(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert "The disk is full. Free some space, then resume." in ended(events).reason
    assert ended(events).best == 2
    assert [path.name for path in (folder / CHECKPOINTS).iterdir()] == ["checkpoint-2"]      # the one that was cut off is gone
    assert scores(events)[-1].metrics == metrics_of(folder, 2)
    assert ended(run(folder)).stop_kind == "finished"       # with space again


@pytest.mark.parametrize(("family", "method"), [("gpt2", "lora"), ("mamba", "full"), ("mamba", "lora")])
def test_models_of_every_kind_learn_to_classify(
        tmp_path: Path, gpt2_folder: Path, mamba_folder: Path, family: str, method: Method) -> None:
    """Also a recurrent model, for which transformers has no head of its own."""
    base = gpt2_folder if family == "gpt2" else mamba_folder
    folder = write(tmp_path / "run", base, "text-classification", texts(32), texts(16), method=method, labels=("lazy", "quick"),
                   epochs=8, learning_rate=5e-3, lora_rank=8, batch_size=8, micro_batch=8)

    events = run(folder)

    assert ended(events).stop_kind == "finished", ended(events).reason
    after = scores(events)[-1].metrics
    assert after.main == "matthews"
    assert after.value("accuracy") == 1.0
    assert after.confusion == ((8, 0), (0, 8))
    assert not after.mistakes
    config = json.loads((folder / RESULT / "config.json").read_text("utf-8"))
    assert config["id2label"] == {"0": "lazy", "1": "quick"}
    with pipelines.open(str(folder / RESULT), settings=Settings(device="cpu", data_dir=tmp_path)) as classify:      # as it will be used
        assert [rows[0].label for rows in classify(TaskInput(tuple(each.text for each in texts(4)))).rows] == ["lazy", "quick"] * 2


def test_words_and_answers_are_learned_too(tmp_path: Path, gpt2_folder: Path) -> None:
    """Entities: the second word is an animal. Answers: the third word. With a model that has heads for both."""
    words = tuple(TaggedWords(at + 1, ("the", WORDS[at % 8], "jumps", "over", "hello"), (0, 1, 0, 0, 0)) for at in range(24))
    tags = run(write(tmp_path / "tags", gpt2_folder, "token-classification", words[:16], words[16:], labels=("O", "B-ANIMAL"), epochs=6,
                     learning_rate=1e-2, lora_rank=8))
    assert ended(tags).stop_kind == "finished", ended(tags).reason
    first, last = (each.metrics.value("f1") or 0 for each in scores(tags))
    assert last > 0.9 > first
    assert [each.label for each in scores(tags)[-1].metrics.per_label] == ["ANIMAL"]
    with pipelines.open(str(tmp_path / "tags" / RESULT), settings=Settings(device="cpu", data_dir=tmp_path)) as tag:
        assert [row.text for row in tag("the fox jumps over hello").rows[0]] == ["fox"]    

    answered = tuple(Answered(at + 1, "Who is it?", f"hello world {WORDS[at % 8]} jumps", ((WORDS[at % 8], 12),)) for at in range(24))
    answers = run(write(tmp_path / "answers", gpt2_folder, "question-answering", answered[:16], answered[16:], method="full", epochs=6,
                        learning_rate=5e-3))
    assert ended(answers).stop_kind == "finished", ended(answers).reason
    before, after = (each.metrics for each in scores(answers))
    assert (after.value("exact_match") or 0) > (before.value("exact_match") or 0)
    assert (after.value("f1") or 0) >= 0.9
    with pipelines.open(str(tmp_path / "answers" / RESULT), settings=Settings(device="cpu", data_dir=tmp_path)) as answer:
        assert answer("Who is it?", "hello world owl jumps").rows[0][0].text == "owl"     


def test_texts_are_trained_in_blocks(tmp_path: Path, llama_folder: Path) -> None:
    plain = tuple(PlainText(at + 1, f"the quick brown {WORDS[at % 8]} jumps over the lazy dog " * 4) for at in range(8))
    events = run(write(tmp_path / "run", llama_folder, "text", plain[:6], plain[6:], max_tokens=32, epochs=3, learning_rate=1e-2))
    assert ended(events).stop_kind == "finished", ended(events).reason
    before, after = (each.metrics.value("perplexity") or 0 for each in scores(events))
    assert after < before / 2


def test_activations_that_are_computed_again_give_the_same_losses(tmp_path: Path, llama_folder: Path) -> None:
    kept = run(write(tmp_path / "kept", llama_folder, "chat", dialogues(8), epochs=1))
    folder = write(tmp_path / "again", llama_folder, "chat", dialogues(8), epochs=1)
    write_job(folder, replace(read_job(folder), has_checkpointing=True))
    assert losses(run(folder)) == losses(kept)


def test_a_limit_of_time_saves_and_stops(tmp_path: Path, llama_folder: Path) -> None:
    folder = write(tmp_path / "run", llama_folder, "chat", dialogues(8), dialogues(2), limit_s=1e-6, epochs=50)
    events = run(folder)
    assert ended(events).stop_kind == "time"
    assert newest(folder) == 1
    assert (folder / RESULT / "adapter_model.safetensors").is_file()


def changed(base: Path, folder: Path, **settings: object) -> Path:
    """The same model with other settings in its config.json."""
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **settings}), "utf-8")
    return folder


@pytest.mark.parametrize("phase", ["load", "baseline"])
def test_a_stop_before_training_ends_the_run_without_a_step(tmp_path: Path, llama_folder: Path, phase: str) -> None:
    folder = write(tmp_path / "run", llama_folder, "chat", dialogues(8), dialogues(2))

    class StopIn(EventWriter):
        def write(self, event: Event) -> None:
            super().write(event)
            if isinstance(event, InPhase) and event.phase == phase:
                (folder / STOP).touch()

    assert TrainerProcess(folder, StopIn(folder)).run() == 0
    events = read_events(folder)[0]
    assert (ended(events).stop_kind, ended(events).has_result) == ("person", False)
    assert not scores(events)
    assert not losses(events)
    assert not (folder / STOP).exists()


@pytest.mark.parametrize("task", ["text-classification", "token-classification", "question-answering"])
def test_a_batch_in_parts_has_the_loss_and_the_gradient_of_a_whole_one(
        tmp_path: Path, mamba_folder: Path, task: Literal["text-classification", "token-classification", "question-answering"]) -> None:
    """BERT's heads ignore how many labels the whole batch has, as the general head does that a recurrent model gets."""
    bert = task_models.encoder(tmp_path / "bert", "none", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    words = "Ada wrote the first program in London".split()
    tagged = tuple(TaggedWords(at + 1, tuple(words[:2 + at % 5]), (1, *[0] * (1 + at % 5))) for at in range(14))
    answers = (("Ada", 0),), (("program", 20),)
    asked = tuple(Answered(at + 1, "who", "Ada wrote the first program", answers[at % 2]) for at in range(13))
    train = {"text-classification": texts(14), "token-classification": tagged, "question-answering": asked}[task]
    for base in (bert, changed(mamba_folder, tmp_path / "mamba", classifier_dropout=0.0)):
        found = [[(event.loss, event.gradient_norm) for event in run(write(
            tmp_path / f"{base.name}-{micro_batch}", base, task, train, method="full", labels=("a", "b"), epochs=1, batch_size=8,
            micro_batch=micro_batch)) if isinstance(event, Point)] for micro_batch in (8, 2)]
        assert len(found[0]) == 2
        assert found[1] == [pytest.approx(each, rel=1e-2) for each in found[0]]


def test_a_model_whose_main_value_is_still_0_improves_when_its_loss_falls(tmp_path: Path, gpt2_folder: Path) -> None:
    """The only entities that are held back are of a type that is never trained."""
    train = tuple(TaggedWords(at + 1, ("the", WORDS[at % 8], "jumps", "over", "hello"), (0, 0, 1, 0, 0)) for at in range(16))
    held = tuple(TaggedWords(at + 1, ("the", WORDS[at % 8], "jumps", "over", "hello"), (0, 0, 0, 0, 2)) for at in range(4))
    folder = write(tmp_path / "run", gpt2_folder, "token-classification", train, held, labels=("O", "B-ANIMAL", "B-PLACE"), method="full",
                   epochs=3, patience=1, batch_size=8, micro_batch=8, learning_rate=2e-4)

    events = run(folder)

    measured = [event for event in events if isinstance(event, Point) and event.eval_loss is not None]
    assert [event.metric for event in measured] == [0.0] * 3
    assert measured[0].eval_loss > measured[1].eval_loss > measured[2].eval_loss        # type: ignore[operator]
    assert ended(events).stop_kind == "finished"
    assert ended(events).best == measured[-1].step


def test_a_merged_classifier_knows_the_token_that_filled_up_its_batches(tmp_path: Path, gpt2_folder: Path) -> None:
    """GPT-2's configuration names none."""
    base = changed(gpt2_folder, tmp_path / "gpt2", pad_token_id=None)
    folder = write(tmp_path / "run", base, "text-classification", texts(8), labels=("a", "b"), epochs=1)
    run(folder)
    assert merge(folder) == 0
    model = AutoModelForSequenceClassification.from_pretrained(folder / MERGED).eval()
    ids = torch.tensor([[5, 6, 7], [5, 6, model.config.pad_token_id]])
    torch.testing.assert_close(model(ids).logits[1:], model(ids[1:, :2]).logits, rtol=1e-3, atol=1e-3)
