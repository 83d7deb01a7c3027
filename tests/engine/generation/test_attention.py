"""Attention per reply compared with transformers' generate(), with replies of different lengths in the same step."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine import Engine, Settings
from engine.generation.attention import NAME, make_plan
from tests import tiny_models
from tests.engine.generation.test_batched import lane_ids, reference

# One word, a few, more than the sliding window, and more than one step of prompt tokens (512).
QUESTIONS = ["hello", "the quick brown fox", "again " * 40, "hello world " * 290]


@pytest.fixture(scope="module", params=["full", "sliding"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attention") / request.param
    return tiny_models.llama(folder, window=1024) if request.param == "full" else tiny_models.sliding(folder, window=1024)


def test_replies_of_all_lengths_together_equal_generate_alone(
        folder: Path, new_engine: Callable[..., Engine], settings: Settings) -> None:
    engine = new_engine(folder)
    assert engine._active_model is not None
    assert engine._active_model.loaded.model.config._attn_implementation == NAME
    results: dict[str, list[int]] = {}
    threads = [threading.Thread(target=lambda q=question: results.update({q: lane_ids(engine, q, 48)})) for question in QUESTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {question: reference(folder, question, 48) for question in QUESTIONS}


def test_a_plan_restricts_each_reply_to_its_own_keys() -> None:
    lengths, queries = [40, 3, 30, 7], [1, 1, 1, 5]
    key_bounds, query_bounds = [0, 40, 43, 73, 80], [0, 1, 2, 3, 8]
    plan = make_plan(torch.tensor(query_bounds), key_bounds, torch.arange(80) + 1000, None)
    seen: dict[int, set[int]] = {}
    for group in plan.groups:
        keys = plan.read_index[group.keys].view(-1, group.num_keys) - 1000
        for row, places in zip(group.queries, keys, strict=True):
            index = next(i for i in range(4) if query_bounds[i] <= int(row[0]) < query_bounds[i + 1])
            seen[index] = set(places.tolist())
            assert len(row) == queries[index]
    assert seen == {i: set(range(key_bounds[i], key_bounds[i] + lengths[i])) for i in range(4)}
    padded = sum(group.num_keys * len(group.queries) for group in plan.groups)
    assert padded <= 2 * sum(lengths)       # a long reply does not make short ones expensive
