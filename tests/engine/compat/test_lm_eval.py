"""The internals of lm-eval and evaluate that engine/compat/lm_eval.py uses still exist. If a test fails, read the new version's source."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.compat import lm_eval as compat
from tests import tiny_models


def test_a_metric_that_lm_eval_does_not_know_goes_to_the_replaced_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    import evaluate  # takes a second, which every worker would spend when it collects the tests
    from lm_eval.api.registry import get_metric

    asked: list[str] = []
    monkeypatch.setattr(evaluate, "load", evaluate.load)        # restored after the test
    compat.replace_metric_loader(lambda name: asked.append(name))
    get_metric("no_such_metric")
    assert asked == ["no_such_metric"]


def test_the_two_methods_that_compute_have_these_parameters() -> None:
    from lm_eval.models.huggingface import HFLM

    assert list(inspect.signature(HFLM._model_call).parameters)[:2] == ["self", "inps"]
    assert list(inspect.signature(HFLM._model_generate).parameters)[:4] == ["self", "context", "max_length", "stop"]
    for method, caller in (("_model_call", HFLM._loglikelihood_tokens), ("_model_generate", HFLM.generate_until)):
        assert f"self.{method}(" in inspect.getsource(caller)


def test_a_borrowed_model_computes_inside_its_turn_only(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path / "llama")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)
    turns: list[str] = []

    @contextmanager
    def turn() -> Iterator[None]:
        turns.append("begin")
        yield
        turns.append("end")

    borrowed = compat.borrowed_model(model, tokenizer, 128, turn)
    assert (borrowed.model, borrowed.max_length, borrowed.batch_size) == (model, 128, 1)
    ids = torch.randint(3, 400, (1, 5))
    assert borrowed._model_call(ids).shape == (1, 5, 400)
    assert borrowed._model_generate(ids, max_length=7, stop=[]).shape[1] <= 7
    assert turns == ["begin", "end"] * 2
