"""Attention over the paged cache compared with attention over the same keys in one piece, and with transformers' generate()."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from engine import Engine, Settings
from engine.generation import attention
from engine.generation.attention import Shape, Step, attend
from engine.generation.blocks import BLOCK_TOKENS, BlockTable
from engine.generation.paged_cache import LayerPool
from tests import tiny_models
from tests.engine.generation.test_batched import lane_ids, reference

HEADS, KV_HEADS, DIM = 4, 2, 8
# One word, a few, more than the sliding window, and more than one step of prompt tokens (512).
QUESTIONS = ["hello", "the quick brown fox", "again " * 40, "hello world " * 290]


def expected(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int | None, chunk: int | None,
             shape: Shape) -> torch.Tensor:
    """One query and head after the other, in double precision. keys, values: (length, key-value heads, dim)."""
    length, result = len(keys), torch.empty(len(queries), HEADS, DIM)
    for row in range(len(queries)):
        position = length - len(queries) + row
        first = max(0, position - window + 1) if window else position // chunk * chunk if chunk else 0
        for head in range(HEADS):
            group = head * KV_HEADS // HEADS
            scores = (keys[first: position + 1, group].double() @ queries[row, head].double()) * (shape.scale or DIM ** -0.5)
            if shape.softcap:
                scores = (scores / shape.softcap).tanh() * shape.softcap
            if shape.sinks is not None:
                scores = torch.cat([scores, shape.sinks[head: head + 1].double()])
            weights = scores.softmax(-1)[: position + 1 - first]
            result[row, head] = (weights @ values[first: position + 1, group].double()).float()
    return result


@pytest.mark.parametrize("shape", [Shape(), Shape(scale=0.3), Shape(softcap=2.0), Shape(sinks=torch.tensor([0.5, -1.0, 2.0, 0.0]))],
                         ids=["plain", "scale", "softcap", "sinks"])
@pytest.mark.parametrize(("window", "chunk"), [(None, None), (5, None), (None, 8)], ids=["full", "window", "chunk"])
@pytest.mark.parametrize(("is_run", "most_runs"), [(True, 16), (False, 16), (False, 0)], ids=["consecutive", "in runs", "one by one"])
def test_attention_of_a_mixed_step_equals_that_of_each_reply(
        shape: Shape, window: int | None, chunk: int | None, is_run: bool, most_runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "MOST_RUNS", most_runs)
    torch.manual_seed(0)
    pool = LayerPool(torch.zeros(12 * BLOCK_TOKENS, KV_HEADS, DIM), torch.zeros(12 * BLOCK_TOKENS, KV_HEADS, DIM), window, chunk)
    tables = [BlockTable() for _ in range(3)]
    for table, blocks in zip(tables, ([0, 1, 2], [4, 5], [7]) if is_run else ([9, 0, 1], [3, 2], [7]), strict=True):
        for block in blocks:
            table.append(block)
    assert [table.runs for table in tables] == ([[3], [2], [1]] if is_run else [[1, 2], [1, 1], [1]])
    bounds = [(40, 41), (17, 25), (0, 9)]       # one decodes, one continues its prompt, one begins
    keys, values = (torch.randn(3, 48, KV_HEADS, DIM) for _ in range(2))
    for number, (first, last) in enumerate(bounds):     # what is cached already, and the step
        for begin, end in ((0, first), (first, last)):
            if end > begin:
                slots = Step.of([(tables[number], begin, end)], torch.device("cpu")).slots
                pool.write(slots, keys[number, begin:end], values[number, begin:end])
    queries = torch.randn(sum(last - first for first, last in bounds), HEADS, DIM)
    step = Step.of([(table, *bound) for table, bound in zip(tables, bounds, strict=True)], torch.device("cpu"))
    result, begin = attend(queries, pool, step, shape), 0
    for number, (first, last) in enumerate(bounds):
        end = begin + last - first
        wanted = expected(queries[begin:end], keys[number, :last], values[number, :last], window, chunk, shape)
        assert torch.allclose(result[begin:end], wanted, atol=1e-5)
        begin = end


class Largest(TorchFunctionMode):
    """The largest number of values in a result."""

    values = 0

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.values = max(self.values, result.numel())
        return result


def test_scores_of_a_long_text_are_not_all_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, shape = 20 * BLOCK_TOKENS, Shape(sinks=torch.zeros(HEADS))
    pool = LayerPool(torch.randn(tokens, KV_HEADS, DIM), torch.randn(tokens, KV_HEADS, DIM), None, None)
    table, queries = BlockTable(), torch.randn(100, HEADS, DIM)
    for block in range(20):
        table.append(block)
    whole = attend(queries, pool, Step.of([(table, tokens - 100, tokens)], torch.device("cpu")), shape)
    monkeypatch.setattr(attention, "MOST_SCORES", 10 * HEADS * tokens)
    with Largest() as largest:
        result = attend(queries, pool, Step.of([(table, tokens - 100, tokens)], torch.device("cpu")), shape)
    assert torch.allclose(result, whole, atol=1e-6)
    assert largest.values < 50 * HEADS * tokens


@pytest.fixture(scope="module", params=["full", "sliding"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attention") / request.param
    return tiny_models.llama(folder, window=1024) if request.param == "full" else tiny_models.sliding(folder, window=1024)


def test_replies_of_all_lengths_together_equal_generate_alone(
        folder: Path, new_engine: Callable[..., Engine], settings: Settings) -> None:
    engine = new_engine(folder)
    results: dict[str, list[int]] = {}
    threads = [threading.Thread(target=lambda q=question: results.update({q: lane_ids(engine, q, 48)})) for question in QUESTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {question: reference(folder, question, 48) for question in QUESTIONS}
