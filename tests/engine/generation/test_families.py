"""Greedy replies of every family, alone and together, compared with transformers' generate(), token for token."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from engine import Engine, GenerationOptions, ModelSpec, Settings
from engine.generation.base import NewTokens
from engine.runtime.active_model import ActiveModel
from tests.conftest import exhaust
from tests.families import FAMILIES, LONG_ROPE_AFTER, Family

# Families that cannot generate several replies at once, with the reason.
SINGLE_LANE = dict.fromkeys(("Mamba", "Mamba 2"), "they keep a state only, in a cache of another kind")


def tokens(count: int, seed: int) -> list[int]:
    return random.Random(seed).choices(range(3, 256), k=count)      # after the special ones


SHARED = tokens(40, seed=0)
# The prompt of each reply, and the length of its reply: they end at different steps.
REPLIES = {
    "longer than a sliding window": (tokens(90, seed=1), 8), "short": (tokens(3, seed=2), 10),
    "crosses the limit of LongRoPE": (tokens(LONG_ROPE_AFTER - 6, seed=3), 12), "whole pages": (tokens(48, seed=4), 8),
    "shared": (SHARED, 10), "shared and one": (SHARED + tokens(1, seed=5), 12), "shared and more": (SHARED + tokens(9, seed=6), 8),
    "shared, whole pages": (SHARED + tokens(24, seed=7), 10)}
AT_ONCE = (1, 3, len(REPLIES))

lanes: dict[str, str] = {}      # of the families that were loaded by a test of this module


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the engine: for models this small, a second thread only waits for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_greedy_replies_equal_generate(family: Family, tmp_path: Path) -> None:
    folder = family.write(tmp_path / "model")
    expected = reference(folder)
    engine = Engine(Settings(device="cpu", data_dir=tmp_path, context_tokens=256, concurrent_replies=8, drain_timeout_s=5))
    try:
        exhaust(engine.load(ModelSpec(str(folder))))
        status = engine.status()
        lanes[family.name] = status.lane
        with engine.using() as model:
            for turn in ("first", "with prefixes in the cache"):
                for count in AT_ONCE:
                    names = list(REPLIES)[:count]
                    assert replies(model, names) == {name: expected[name] for name in names}, f"{count} at once, {turn}"
    finally:
        engine.close()
    assert status.lane == "batched" or family.name in SINGLE_LANE, status.lane_reason


def test_the_list_of_families_with_one_reply_at_a_time_is_current() -> None:
    assert {name for name, lane in lanes.items() if lane == "single"} == set(SINGLE_LANE) & set(lanes)


def reference(folder: Path) -> dict[str, list[int]]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config = GenerationConfig()        # without a token that ends a reply
    found = {}
    for name, (prompt, count) in REPLIES.items():
        ids = torch.tensor([prompt])
        output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count, pad_token_id=0)
        found[name] = output[0, len(prompt):].tolist()
    return found


def replies(model: ActiveModel, names: list[str]) -> dict[str, list[int]]:
    """The replies to these prompts, all requested at once."""
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(lambda name: reply(model, *REPLIES[name]), names), strict=True))


def reply(model: ActiveModel, prompt: list[int], count: int) -> list[int]:
    options = GenerationOptions(max_new_tokens=count, temperature=0.0, ignores_end=True)
    with closing(model.stream_ids(prompt, options)) as events:
        return [token for event in events if isinstance(event, NewTokens) for token in event.ids]
