from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.models.linear import PackedLinear, Part
from engine.models.packing import PackedProduct, can_pack, pack
from tests import tiny_models


@pytest.fixture
def model(tmp_path: Path) -> torch.nn.Module:
    folder = tiny_models.llama(tmp_path / "m", dtype=torch.bfloat16)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()


def test_a_packed_model_gives_the_same_logits(model: torch.nn.Module) -> None:
    if not can_pack(model):     # type: ignore[arg-type]
        pytest.skip("this CPU has no bfloat16 arithmetic")
    ids = torch.randint(0, 400, (1, 20))
    with torch.no_grad():
        plain = model(ids).logits.float()
        assert pack(model) > 0      # type: ignore[arg-type]
        packed = model(ids).logits.float()
    layer = model.model.layers[0]
    assert isinstance(layer.self_attn.q_proj, Part)
    assert isinstance(layer.self_attn.q_proj.shared.product, PackedProduct)
    assert isinstance(layer.mlp.down_proj, PackedLinear)
    assert torch.nn.functional.cosine_similarity(plain.flatten(), packed.flatten(), dim=0) > 0.999


def test_full_precision_weights_are_not_packed(model: torch.nn.Module) -> None:
    assert not can_pack(model.float())      # type: ignore[arg-type]
