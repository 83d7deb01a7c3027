"""Products that replace linear layers. Plain products, so that the tests run on every CPU."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, Phi3Config, Phi3ForCausalLM

from engine.models.linear import PackedLinear, Part, PlainProduct, Product, products, replace_layers
from tests import tiny_models

NAMES = ("q_proj", "k_proj", "v_proj")


class Counted(PlainProduct):
    calls = 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        Counted.calls += 1
        return super().__call__(x)


@pytest.fixture(autouse=True)
def no_calls_yet() -> None:
    Counted.calls = 0


def none(layer: nn.Linear) -> bool:
    return False


def attention(bias: bool = False, sizes: tuple[int, int, int] = (32, 16, 16), make: Callable[..., Product] = Counted,
              ) -> tuple[nn.Module, dict[str, nn.Linear]]:
    """A module with replaced q, k and v, and the layers that they were."""
    parent = nn.Module()
    layers = {name: nn.Linear(24, size, bias=bias) for name, size in zip(NAMES, sizes, strict=True)}
    for name, layer in layers.items():
        setattr(parent, name, layer)
    replace_layers(parent, make, none)
    return parent, layers


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("order", list(permutations(NAMES)))
@torch.no_grad()
def test_siblings_in_any_order_compute_one_product_that_equals_theirs(order: tuple[str, ...], bias: bool) -> None:
    parent, layers = attention(bias)
    x = torch.randn(2, 5, 24)
    for name in order:
        torch.testing.assert_close(getattr(parent, name)(x), layers[name](x))      # equal up to the order of summation
    assert Counted.calls == 1


@torch.no_grad()
def test_siblings_are_found_by_their_shared_product() -> None:
    parent, layers = attention(bias=True)
    shared = parent.q_proj.shared
    assert shared is parent.k_proj.shared is parent.v_proj.shared
    x = torch.randn(3, 24)
    torch.testing.assert_close(shared.product(x), torch.cat([layers[name](x) for name in NAMES], -1))
    assert (shared.product.in_features, shared.product.out_features) == (24, 64)
    assert [(getattr(parent, name).in_features, getattr(parent, name).out_features) for name in NAMES] == [(24, 32), (24, 16), (24, 16)]


@torch.no_grad()
def test_another_input_is_computed_again() -> None:
    parent, layers = attention()
    x, other = torch.randn(4, 24), torch.randn(4, 24)
    for name, value in (("q_proj", x), ("k_proj", other), ("q_proj", other), ("v_proj", x), ("k_proj", x), ("q_proj", x)):
        torch.testing.assert_close(getattr(parent, name)(value), layers[name](value))


@torch.no_grad()
def test_a_buffer_that_is_filled_again_is_computed_again() -> None:
    parent, layers = attention()
    x = torch.empty(4, 24)
    for _ in range(2):
        x.normal_()
        for name in NAMES:
            torch.testing.assert_close(getattr(parent, name)(x), layers[name](x))
    parent.q_proj(x)
    x.normal_()
    torch.testing.assert_close(parent.q_proj(x), layers["q_proj"](x))
    assert Counted.calls == 4


@torch.no_grad()
def test_the_result_is_dropped_when_all_have_read_it() -> None:
    parent, _ = attention()
    x = torch.randn(4, 24)
    outputs = [getattr(parent, name)(x) for name in NAMES[:2]]
    assert parent.q_proj.shared.holds_result
    outputs.append(parent.v_proj(x))
    assert not parent.q_proj.shared.holds_result
    storage = weakref.ref(outputs[0]._base if outputs[0]._base is not None else outputs[0])
    outputs.clear()
    gc.collect()
    assert storage() is None


@torch.no_grad()
def test_the_result_is_dropped_with_its_input() -> None:
    parent, _ = attention()
    x = torch.randn(4, 24)
    parent.q_proj(x)
    del x
    assert not parent.q_proj.shared.holds_result


@torch.no_grad()
def test_the_weight_and_bias_can_be_inspected() -> None:
    parent, layers = attention(bias=True)
    for name in NAMES:
        assert torch.equal(getattr(parent, name).weight, layers[name].weight)
        assert torch.equal(getattr(parent, name).bias, layers[name].bias)
    assert "part of" in repr(parent)


def siblings(**changes: nn.Module) -> nn.Module:
    parent = nn.Module()
    for name in NAMES:
        setattr(parent, name, changes.get(name, nn.Linear(24, 16, bias=False)))
    return parent


class Special(nn.Linear):
    """A layer of its own kind, which may compute anything."""


@pytest.mark.parametrize(("other", "left"), [
    (nn.Linear(24, 16), PackedLinear), (nn.Linear(32, 16, bias=False), PackedLinear),
    (nn.Linear(24, 16, bias=False, dtype=torch.bfloat16), PackedLinear),
    (Special(24, 16, bias=False), Special), (nn.Identity(), nn.Identity)],
    ids=["a bias", "another width", "another dtype", "a subclass", "no linear layer"])
def test_siblings_that_differ_are_not_fused(other: nn.Module, left: type) -> None:
    parent = siblings(k_proj=other)
    replace_layers(parent, PlainProduct, none)
    assert [type(getattr(parent, name)) for name in NAMES] == [PackedLinear, left, PackedLinear]


def test_layers_to_skip_stay() -> None:
    parent = siblings()
    kept = parent.k_proj
    replace_layers(parent, PlainProduct, lambda layer: layer is kept)
    assert parent.k_proj is kept
    assert isinstance(parent.q_proj, PackedLinear)


def test_old_weights_are_freed_before_the_next_are_replaced() -> None:
    model = nn.Module()
    model.blocks = nn.ModuleList([siblings() for _ in range(3)])
    model.head = nn.Linear(24, 40)
    alive = [weakref.ref(layer) for layer in model.modules() if isinstance(layer, nn.Linear)]
    counts: list[int] = []

    def make(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        counts.append(sum(layer() is not None for layer in alive))
        return PlainProduct(weight.clone(), bias)

    replace_layers(model, make, none)
    assert counts == [10, 9, 6, 3]
    assert not any(layer() is not None for layer in alive)


def replies(model: nn.Module) -> list[list[int]]:
    ids = torch.randint(3, 400, (2, 12), generator=torch.Generator().manual_seed(0))
    return model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False).tolist()   # type: ignore[operator]


def test_generate_is_unchanged(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_models.llama(tmp_path / "m")).eval()
    before = replies(model)
    made = replace_layers(model, PlainProduct, none)
    assert replies(model) == before
    first = model.model.layers[0]
    assert isinstance(first.self_attn.v_proj, Part)
    assert isinstance(first.mlp.up_proj, Part)
    assert isinstance(first.mlp.down_proj, PackedLinear)
    assert len(made) == 2 * 4 + 1
    assert list(products(model))
    assert {id(product) for product in products(model)} == {id(product) for product in made}
    assert sum(product.num_bytes for product in made) == 4 * (2 * (64 * 128 + 64 * 64 + 64 * 256 + 128 * 64) + 64 * 400)


def test_layers_that_are_fused_already_stay_one_product() -> None:
    model = Phi3ForCausalLM(Phi3Config(vocab_size=400, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                       num_key_value_heads=2, pad_token_id=0)).eval()
    before = replies(model)
    replace_layers(model, PlainProduct, none)
    layer = model.model.layers[0]
    assert layer.self_attn.qkv_proj.product.out_features == 128
    assert layer.mlp.gate_up_proj.product.out_features == 128
    assert replies(model) == before
