"""What is read from a model's modules."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.generation.decoder import COMMON, Decoder
from engine.generation.paged_cache import PagedCache
from tests.families import FAMILIES, tiny_config


# A model with small weights, as here, passes the proof in bfloat16 whether or not such a layer is rotated.
@pytest.mark.parametrize(("name", "kinds"), [("Cohere 2", [COMMON, None]), ("SmolLM3", [COMMON, None]), ("Llama", [COMMON, COMMON])])
def test_layers_without_positions_are_found(name: str, kinds: list[str | None]) -> None:
    family = next(each for each in FAMILIES if each.name == name)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(tiny_config(family.kind, family.changes)).to(torch.bfloat16).eval()
    decoder = Decoder(model, PagedCache(model, 8), 64)
    assert [layer.attention.rotary for layer in decoder._layers] == kinds
