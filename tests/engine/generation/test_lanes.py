"""Which lane a model gets, and what its choice costs."""

import weakref

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from engine.generation import lanes
from engine.generation.lanes import LaneOptions, OpenLane, open_lane
from engine.generation.paged_cache import PagedCache
from tests.families import tiny_config


def opened() -> OpenLane:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(tiny_config("gpt2", {})).eval()       # not understood by our own forward pass
    return open_lane(model, LaneOptions(256, 512, 2, frozenset(), 0))


def test_memory_never_holds_two_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[torch.Tensor]] = []

    class Counted(PagedCache):
        def __init__(self, model: PreTrainedModel, num_blocks: int) -> None:
            assert not [each for each in made if each() is not None]
            super().__init__(model, num_blocks)
            made.extend(weakref.ref(pool.keys) for pool in self.pools if pool is not None)

    monkeypatch.setattr(lanes, "PagedCache", Counted)
    lane = opened()
    lane.generator.close()
    assert "transformers' forward pass" in lane.reason
