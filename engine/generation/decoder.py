"""Our own forward pass over the paged cache: all tokens of a step go through each weight once, in few and large operations.

Built from the modules of a loaded model (reading.py); products are those of the model's layers. Its logits are compared with
transformers' at every load (proof.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ..compat.transformers import original_context
from .adapters import Adapters
from .attention import Sight, Step
from .layers import Function, Layer, Rotary
from .paged_cache import PagedCache
from .picture_rows import PictureFeatures
from .reading import NotUnderstood, is_rotated, read_axes, read_layer, read_norm, read_rotary
from .sequence import Part, Sequence

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PARTS = {"embed_tokens", "layers", "norm", "rotary_emb"}
# Settings that change attention only for some values or at some positions, which the proof may not meet.
UNKNOWN = ("clip_qkv", "llama_4_scaling_beta", "attn_temperature_tuning")
COMMON = "all layers"       # the kind of a rotary table that does not depend on the layer


class Decoder:
    """Raises NotUnderstood for a model with parts that it does not know."""

    def __init__(self, model: PreTrainedModel, cache: PagedCache, window_tokens: int, pictures: PictureFeatures | None = None,
                 adapters: Adapters | None = None) -> None:
        base: Any = model.get_decoder()      # without the part that reads pictures, if there is one
        config: Any = model.config.get_text_config()
        if set(dict(base.named_children())) != PARTS or len(base.layers) != len(cache.pools):
            raise NotUnderstood("parts that are arranged in a way of its own")
        unknown = [name for name in UNKNOWN if getattr(config, name, None) or (getattr(config, "rope_parameters", None) or {}).get(name)]
        if unknown:
            raise NotUnderstood(unknown[0])
        self._device = model.device
        self._embed: Function = base.embed_tokens
        self._pictures = pictures or PictureFeatures()
        self.sight: Sight = "causal"
        self._embedding_multiplier = getattr(config, "embedding_multiplier", None)
        kinds = _kinds(base, config, model.dtype)
        self.adapters = adapters or Adapters(model)
        self._layers: list[Layer] = [
            read_layer(layer, pool, kind, self.adapters) for layer, pool, kind in zip(base.layers, cache.pools, kinds, strict=True)]
        self._norm = read_norm(base.norm)
        self._head: Function = model.get_output_embeddings()
        self._finish = _finish(config)
        self._original = original_context(model)
        tables = {kind: read_rotary(base, base.rotary_emb, kind, window_tokens, model.dtype) for kind in {*kinds} if kind}
        self._long = tables
        self._axes = {kind: read_axes(base.rotary_emb, kind, table) for kind, table in tables.items()} if self._pictures.has_axes else {}
        self._short = tables if self._original is None or self._original >= window_tokens else {
            kind: read_rotary(base, base.rotary_emb, kind, self._original, model.dtype) for kind in tables}

    def root_of(self, sequence: Sequence) -> tuple[int, bool]:
        """The adapter, and whether LongRoPE rotates all tokens differently because the text is longer than the original context."""
        return self.adapters.number(sequence.options.adapter), self._original is not None and len(sequence.ids) > self._original

    @torch.inference_mode()
    def __call__(self, parts: list[Part]) -> torch.Tensor:
        """The logits after the newest token of each reply in the step, and after each token of its guess: (rows, vocabulary), float32."""
        step = Step.of([(part.sequence.table, part.first, part.end) for part in parts], self._device,
                       [part.pictures for part in parts] if self.sight != "causal" else None, self.sight)
        ids = [token for part in parts for token in part.ids]
        shown = self._pictures.rows(ids)
        x = self._pictures.embed(self._embed, ids, shown, self._device)
        if self._embedding_multiplier is not None:
            x = x * self._embedding_multiplier
        self.adapters.use([(slice(span.begin, span.end), part.sequence.options.adapter)
                           for span, part in zip(step.spans, parts, strict=True)])
        tables = self._tables(parts)
        for number, layer in enumerate(self._layers):
            x = layer(x, step, tables)
            if shown is not None:
                x = shown.add_deep(x, number)
        rows = [row for span, part in zip(step.spans, parts, strict=True) if part.is_last
                for row in range(span.end - len(part.guess) - 1, span.end)]
        if not rows:
            return x.new_empty(0)
        if len(rows) < len(x):
            x = x[rows]
        return self._finish(self._head(self._norm(x)).float())

    def _tables(self, parts: list[Part]) -> dict[str, Rotary]:
        """The rows of the rotary tables for the tokens of this step."""
        axes = self._pictures.axes(parts)
        if axes is not None:
            return {kind: table.on_axes(axes.to(self._device), self._axes[kind]) for kind, table in self._long.items()}
        positions = torch.tensor([position for part in parts for position in range(part.first, part.end)], device=self._device)
        is_long = [part.sequence.table.root[1] for part in parts]
        if self._short is self._long or all(is_long):
            return {kind: table.at(positions) for kind, table in self._long.items()}
        if not any(is_long):
            return {kind: table.at(positions) for kind, table in self._short.items()}
        found = {}
        for kind, table in self._long.items():
            rows = [(self._long if each else self._short)[kind].at(torch.arange(part.first, part.end))
                    for each, part in zip(is_long, parts, strict=True)]
            found[kind] = Rotary(torch.cat([row.cos for row in rows]), torch.cat([row.sin for row in rows]), table.in_pairs)
        return found


def _kinds(base: Any, config: Any, dtype: torch.dtype) -> list[str | None]:
    """Which rotary table each layer uses; None for a layer without positions."""
    has_several = "layer_type" in inspect.signature(base.rotary_emb.forward).parameters
    kinds = list(config.layer_types) if has_several else [COMMON] * len(base.layers)
    sample = torch.randn(1, 4, config.hidden_size, generator=torch.Generator().manual_seed(0)).to(base.embed_tokens.weight.device, dtype)
    return [kind if "self_attn" not in dict(layer.named_children()) or is_rotated(layer.self_attn, base.rotary_emb, kind, sample) else None
            for layer, kind in zip(base.layers, kinds, strict=True)]


def _finish(config: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """What the family does to its logits."""
    divisor, factor, cap = (getattr(config, name, None) for name in ("logits_scaling", "logit_scale", "final_logit_softcapping"))

    def finish(logits: torch.Tensor) -> torch.Tensor:
        if divisor is not None:
            logits = logits / divisor
        if factor is not None:
            logits = logits * factor
        return logits if cap is None else torch.tanh(logits / cap) * cap

    return finish
