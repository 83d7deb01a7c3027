"""Which lane a model gets, and what its choice costs."""

import gc
import weakref

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from engine import GenerationOptions
from engine.generation import lanes
from engine.generation.base import Ended, NewTokens
from engine.generation.batched import BatchedGenerator
from engine.generation.lanes import LaneOptions, OpenLane, open_lane
from engine.generation.paged_cache import PagedCache
from tests.families import FAMILIES, tiny_config


def opened(name: str) -> OpenLane:
    family = next(each for each in FAMILIES if each.name == name)
    layers = len(family.changes.get("layer_types", "ab"))
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(tiny_config(family.kind, family.changes, layers)).eval()
    return open_lane(model, LaneOptions(256, 512, 2, frozenset(), 0))


def test_memory_never_holds_two_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[torch.Tensor]] = []

    class Counted(PagedCache):
        def __init__(self, model: PreTrainedModel, num_blocks: int) -> None:
            assert not [each for each in made if each() is not None]
            super().__init__(model, num_blocks)
            made.extend(weakref.ref(pool.keys) for pool in self.pools if pool is not None)

    monkeypatch.setattr(lanes, "PagedCache", Counted)
    lane = opened("GPT-2")       # not understood by our own forward pass
    lane.generator.close()
    assert "transformers' forward pass" in lane.reason


def tensors() -> list[torch.Tensor]:
    return [each for each in gc.get_objects() if isinstance(each, torch.Tensor)]


@pytest.mark.parametrize("name", ["Llama", "LFM2", "GPT-2"])
def test_a_closed_lane_holds_neither_weights_nor_cache_although_a_reply_is_still_read(name: str) -> None:
    others = set(map(id, tensors()))        # tables of libraries that other tests have imported
    lane = opened(name)
    assert isinstance(lane.generator, BatchedGenerator)
    events = lane.generator.stream(list(range(5, 40)), GenerationOptions(max_new_tokens=200, ignores_end=True))
    next(event for event in events if isinstance(event, NewTokens))
    before = {id(each): weakref.ref(each) for each in tensors() if id(each) not in others and each.numel() > 60}
    lane.generator.begin_closing()
    lane.generator.close()
    gc.collect()
    assert not [each() for each in before.values() if each() is not None]
    assert next(event for event in events if isinstance(event, Ended)).reason == "stopped"
