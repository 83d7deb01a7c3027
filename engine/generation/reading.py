"""Reads a model's modules into the functions of layers.py. Whatever it does not know, it refuses; whether it is right, proof.py tells.

Only attention has to be understood. A feed-forward module of an unknown kind, such as a mixture of experts, is called as it is.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import torch
from torch import nn

from .adapters import Adapters
from .attention import Shape
from .layers import Attention, Function, GatedFeedForward, Layer, RmsNorm, Rotary
from .paged_cache import LayerPool

NORMS = {       # names of norms -> before attention, after attention, before feed-forward, after feed-forward
    ("input_layernorm", "post_attention_layernorm"): (0, None, 1, None),
    ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"): (0, 1, 2, 3),
    ("post_attention_layernorm", "post_feedforward_layernorm"): (None, 0, None, 1),
    ("input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm", "post_mlp_layernorm"): (0, 2, 1, 3),
    ("input_layernorm",): (0, None, None, None)}
FEED_FORWARD = ("mlp", "feed_forward", "block_sparse_moe")
PROJECTIONS = {"q_proj", "k_proj", "v_proj", "qkv_proj", "o_proj", "q_norm", "k_norm"}
IGNORED = (nn.Dropout, nn.Identity)


class NotUnderstood(Exception):
    """The model has a part that is not known here; the message names it."""


def read_layer(layer: nn.Module, pool: LayerPool | None, kind: str | None, adapters: Adapters) -> Layer:
    """kind: of the rotary table; None for a layer without positions. Raises NotUnderstood."""
    if pool is None:
        raise NotUnderstood("a layer without keys")
    children = {name: child for name, child in layer.named_children() if not isinstance(child, IGNORED)}
    feed_forward = next((name for name in FEED_FORWARD if name in children), None)
    if feed_forward is None or "self_attn" not in children:
        raise NotUnderstood(f"a layer of {', '.join(children)}")
    names = tuple(name for name in dict.fromkeys(name for known in NORMS for name in known) if name in children)
    if names not in NORMS or set(children) != {*names, feed_forward, "self_attn"}:
        raise NotUnderstood(f"a layer of {', '.join(children)}")
    first, second, third, fourth = (None if place is None else read_norm(children[names[place]]) for place in NORMS[names])
    return Layer(read_attention(children["self_attn"], pool, kind, adapters), read_feed_forward(children[feed_forward], adapters),
                 first, second, third, fourth, is_parallel=len(names) == 1, multiplier=getattr(layer, "residual_multiplier", None))


def read_attention(module: Any, pool: LayerPool, kind: str | None, adapters: Adapters) -> Attention:
    children = dict(module.named_children())
    if getattr(module, "sliding_window", pool.window) != pool.window or pool.chunk is not None:
        raise NotUnderstood("attention with another window than its cache")
    unknown = {*children, *dict(module.named_parameters(recurse=False))} - PROJECTIONS - {"sinks", "rotary_emb"}
    if unknown or "o_proj" not in children:
        raise NotUnderstood(f"attention with {', '.join(sorted(unknown)) or 'no output projection'}")
    dim, kv_heads, value_dim = pool.keys.shape[-1], pool.keys.shape[1], pool.values.shape[-1]
    parts = [children[name] for name in ("qkv_proj", "q_proj", "k_proj", "v_proj") if name in children]
    width = sum(part.out_features for part in parts)
    heads = (width - kv_heads * (dim + value_dim)) // dim
    if dim != value_dim or (heads + 2 * kv_heads) * dim != width or heads * dim != children["o_proj"].in_features:
        raise NotUnderstood("projections of another width than the heads")
    query_norm, key_norm = (read_norm(children[name]) if name in children else None for name in ("q_norm", "k_norm"))
    shape = Shape(getattr(module, "scaling", None), getattr(module, "attn_logit_softcapping", None), getattr(module, "sinks", None))
    norms_whole = isinstance(query_norm, RmsNorm) and query_norm.weight.shape[-1] != dim
    return Attention(adapters.projection(*parts), adapters.projection(children["o_proj"]), heads, kv_heads, dim, pool, shape,
                     kind, query_norm, key_norm, norms_whole)


def read_feed_forward(module: Any, adapters: Adapters) -> Function:
    children = {name: child for name, child in module.named_children() if not isinstance(child, IGNORED)}
    activation = children.pop("act_fn", None) or children.pop("activation_fn", None) or getattr(module, "act_fn", None)
    inputs = next((names for names in (("gate_proj", "up_proj"), ("gate_up_proj",)) if set(children) == {*names, "down_proj"}), None)
    if inputs is not None and activation is not None:
        return GatedFeedForward(adapters.projection(*(children[name] for name in inputs)), activation,
                                adapters.projection(children["down_proj"]))

    def call(x: torch.Tensor) -> torch.Tensor:
        result = module(x[None])
        fed: torch.Tensor = result[0] if isinstance(result, tuple) else result
        return fed.view(x.shape)

    return call


def read_norm(module: Any) -> Function:
    """A plain function where the module computes the same, else the module."""
    weight, eps = getattr(module, "weight", None), getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if weight is None or eps is None or getattr(module, "bias", None) is not None or weight.ndim != 1:
        return _called(module)
    x = torch.randn(3, len(weight), generator=torch.Generator().manual_seed(0)).to(weight.device, weight.dtype)
    expected = module(x)
    for norm in (RmsNorm(weight.detach(), eps), RmsNorm(1.0 + weight.detach().float(), eps, in_float=True)):
        if norm(x).dtype == expected.dtype and torch.allclose(norm(x), expected, rtol=2e-2 if x.dtype != torch.float32 else 1e-5):
            return norm
    return _called(module)


def _called(module: Any) -> Function:
    """The module's product or forward function, without the hooks that nothing uses here."""
    product: Function = getattr(module, "product", None) or module
    return product


def read_rotary(model: nn.Module, rotary: nn.Module, kind: str, positions: int, dtype: torch.dtype) -> Rotary:
    """The table of the first `positions` positions, in the way in which the model's own function applies it. Raises NotUnderstood."""
    sample = torch.zeros(1, 1, dtype=dtype, device=next(model.parameters()).device)
    cos, sin = (part[0].to(dtype) for part in _table(rotary, kind, positions, sample))
    apply = getattr(sys.modules[type(model).__module__], "apply_rotary_pos_emb", None)
    if apply is None or cos.is_complex():
        raise NotUnderstood("positions that are rotated in a way of its own")
    for width, candidates in ((1, _rotations(cos, sin)), (2, _rotations(cos.repeat(1, 2), sin.repeat(1, 2)))):    # or one half is given
        x = torch.randn(1, 2, positions, width * cos.shape[-1], dtype=dtype, generator=torch.Generator().manual_seed(0)).to(sample.device)
        try:
            expected = apply(x, x, cos[None], sin[None])[0][0].transpose(0, 1)
        except RuntimeError:        # of another width
            continue
        for candidate in candidates:
            if torch.allclose(candidate(x[0].transpose(0, 1)), expected, atol=0.05 if dtype != torch.float32 else 1e-4):
                return candidate
    raise NotUnderstood("positions that are rotated in a way of its own")


@torch.no_grad()
def read_axes(rotary: nn.Module, kind: str, table: Rotary) -> torch.Tensor:
    """Which of three axes turns each dimension: (rotated dimensions,). Raises NotUnderstood.

    One axis after the other is moved by one position: the sines of its dimensions are then not zero.
    """
    size = table.sin.shape[-1]
    where = torch.eye(3, dtype=torch.long, device=table.sin.device)[:, None]        # (axes, 1, one position for each)
    named = {"layer_type": kind} if "layer_type" in inspect.signature(rotary.forward).parameters else {}
    sines = rotary(torch.zeros(1, 1, device=where.device), where, **named)[1]
    if table.in_pairs or sines.shape[:2] != (1, 3) or size % sines.shape[-1]:
        raise NotUnderstood("positions on several axes that are rotated in a way of their own")
    moved: torch.Tensor = sines[0].repeat(1, size // sines.shape[-1]) != 0
    if not bool((moved.sum(0) == 1).all()):
        raise NotUnderstood("positions on several axes that are mixed")
    return moved.int().argmax(0)


def _table(rotary: nn.Module, kind: str, positions: int, sample: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, positions, rotated dimensions), on the device and in the dtype of `sample`: cosines and sines."""
    where = torch.arange(positions, device=sample.device)[None]
    named = {"layer_type": kind} if "layer_type" in inspect.signature(rotary.forward).parameters else {}
    table = rotary(sample, where, **named)
    if not isinstance(table, tuple) or table[0].shape[1] != positions:
        raise NotUnderstood("positions that are not rotary")
    return table


@torch.no_grad()
def is_rotated(attention: nn.Module, rotary: nn.Module, kind: str, sample: torch.Tensor) -> bool:
    """Whether a layer's attention uses the positions that it is given. sample: some input, (1, tokens, hidden). Raises NotUnderstood.

    Some families have layers without positions (Cohere 2, SmolLM3), and no common name for them. The proof alone may not notice one that
    is rotated by mistake: over its short texts, the difference can be smaller than what is allowed for rounding to 16 bits.
    """
    cos, sin = _table(rotary, kind, sample.shape[1], sample)
    try:
        given, none = (attention(hidden_states=sample, position_embeddings=each, attention_mask=None)[0]
                       for each in ((cos, sin), (torch.ones_like(cos), torch.zeros_like(sin))))
    except (TypeError, RuntimeError) as error:
        raise NotUnderstood("attention that is called in a way of its own") from error
    return not torch.equal(given, none)


def _rotations(cos: torch.Tensor, sin: torch.Tensor) -> list[Rotary]:
    """The known ways to apply a table whose frequencies fill half of its width, or all of it twice."""
    half = cos.shape[-1] // 2
    signs = torch.ones(2 * half, dtype=cos.dtype, device=cos.device)
    signs[:half] = -1
    pairs = torch.tensor([-1, 1], dtype=cos.dtype, device=cos.device).repeat(half)
    doubled_cos, doubled_sin = (part[:, :half].repeat_interleave(2, dim=-1) for part in (cos, sin))
    return [Rotary(cos[:, None], (sin * signs)[:, None], in_pairs=False), Rotary(cos[:, None], (sin * pairs)[:, None], in_pairs=True),
            Rotary(doubled_cos[:, None], (doubled_sin * pairs)[:, None], in_pairs=True)]
