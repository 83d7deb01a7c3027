"""Which texts the check at load computes."""

import torch
from transformers import AutoModelForCausalLM

from engine.generation.lanes import LaneOptions, OpenLane, open_lane
from engine.generation.proof import STEPS
from tests.families import tiny_config


def opened(window_tokens: int, sliding: int) -> OpenLane:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(tiny_config("mistral", {"sliding_window": sliding})).eval()
    lane = open_lane(model, LaneOptions(window_tokens, 8 * window_tokens, 8, frozenset(), 0))
    lane.generator.close()
    return lane


def test_a_sliding_window_is_crossed_only_if_a_text_can_be_so_long() -> None:
    assert "own forward pass, equal" in opened(128, sliding=200).reason
    assert "was not crossed" not in opened(128, sliding=200).reason
    assert "was not crossed" in opened(128, sliding=120).reason
    assert "was not crossed" not in opened(128, sliding=60).reason


def test_only_the_logits_that_are_compared_are_computed() -> None:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(tiny_config("mistral", {"sliding_window": 60})).eval()
    rows: list[int] = []
    model.lm_head.register_forward_hook(lambda module, arguments, result: rows.append(result[..., 0].numel()))
    open_lane(model, LaneOptions(128, 1024, 8, frozenset(), 0)).generator.close()
    assert max(rows) <= STEPS + 1
