"""A forward pass over the paged cache by the model's own code: works for every model whose attention goes through transformers' interface.

Replies that generate one token are one call; each slice of a prompt is a call of its own. Layers that keep a state instead of keys
get the states of the replies stacked, and each reply keeps its own afterwards. Slower than decoder.py, which reads the weights
itself, but it needs to understand nothing about the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ..compat.kv_cache import Pair, State, Write, attention_by, register_attention, states_after, writing_cache
from .adapters import Adapters
from .attention import Shape, Sight, Step, attend
from .paged_cache import LayerPool, PagedCache
from .picture_rows import PictureFeatures
from .sequence import Part, Sequence

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "paged_per_reply"


@dataclass(slots=True)
class _Call:
    """One call of the model. `written`: new keys and values with their pool, by their identity; layers may share them."""

    step: Step
    written: dict[tuple[int, int], tuple[LayerPool, torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    def write(self, pool: LayerPool) -> Write:
        def write(keys: torch.Tensor, values: torch.Tensor) -> Pair:
            pool.write(self.step.slots, *(part.transpose(1, 2).flatten(0, 1) for part in (keys, values)))
            self.written[id(keys), id(values)] = (pool, keys, values)       # holding the tensors keeps their identity unique
            return keys, values
        return write

    def write_and_read(self, pool: LayerPool) -> Write:
        def write(keys: torch.Tensor, values: torch.Tensor) -> Pair:
            self.write(pool)(keys, values)
            all_keys, all_values = self.step.read(pool, 0, 0)
            return all_keys[None], all_values[None]
        return write


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


def _attention(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
               dropout: float = 0.0, scaling: float | None = None, **kwargs: Any) -> tuple[torch.Tensor, None]:
    """The attention interface of transformers. query: (replies, heads, tokens, dim); returns (replies, tokens, heads, dim)."""
    call = _call.get()
    if call is None or (id(key), id(value)) not in call.written:
        raise NotImplementedError("its attention does not read the keys and values that it cached")
    if attention_mask is not None or kwargs.get("position_bias") is not None:
        raise NotImplementedError("its attention has a mask or a bias of its own")
    pool = call.written[id(key), id(value)][0]
    if kwargs.get("sliding_window", pool.window) != pool.window and pool.chunk is None:
        raise NotImplementedError("its attention has another window than its cache")
    shape = Shape(scaling, kwargs.get("softcap"), kwargs.get("s_aux"))
    attended = attend(query.transpose(1, 2).flatten(0, 1), pool, call.step, shape)
    return attended.view(query.shape[0], query.shape[2], *attended.shape[1:]), None


class LibraryForward:
    """Computes the logits after the last token of each part that is the last of its reply's tokens.

    one_by_one: each reply is a call of its own, with all its keys, for models whose attention is not interchangeable.
    """

    def __init__(self, model: PreTrainedModel, cache: PagedCache, pictures: PictureFeatures | None = None,
                 adapters: Adapters | None = None, *, one_by_one: bool) -> None:
        register_attention(NAME, _attention)
        self._pictures = pictures or PictureFeatures()
        self.sight: Sight = "causal"
        self._model, self._cache, self._one_by_one = model, cache, one_by_one
        self.adapters = adapters or Adapters(model)
        self.adapters.attach(model)
        self._names = set(inspect.signature(model.forward).parameters)
        if any(layer.keys is None and not layer.num_states for layer in cache.layers):
            self._names.discard("logits_to_keep")       # layers that share keys would compute these tokens only (Gemma 4)

    def __call__(self, parts: list[Part]) -> torch.Tensor:
        """(parts that are the last, vocabulary), float32."""
        logits: dict[int, torch.Tensor] = {}
        for numbers in self._calls(parts):
            for number, row in zip(numbers, self._run([parts[number] for number in numbers]), strict=True):
                logits[number] = row
        rows = [logits[number] for number, part in enumerate(parts) if part.is_last]
        return torch.stack(rows).float() if rows else torch.empty(0)

    def _calls(self, parts: list[Part]) -> list[list[int]]:
        """The parts of each call: those of one token and the same adapter together, each slice of a prompt alone."""
        calls: dict[Hashable, list[int]] = {}
        for number, part in enumerate(parts):
            is_token = part.last - part.first == 1 and part.first > 0 and not self._one_by_one
            calls.setdefault(("", part.sequence.options.adapter) if is_token else number, []).append(number)
        return list(calls.values())

    def root_of(self, sequence: Sequence) -> int:
        """What is cached depends on the adapter."""
        return self.adapters.number(sequence.options.adapter)

    def _run(self, parts: list[Part]) -> torch.Tensor:
        """parts of the same length; returns (parts, vocabulary)."""
        device = self._model.device
        call = _Call(Step.of([(part.sequence.table, part.first, part.last) for part in parts], device,
                             [part.pictures for part in parts] if self.sight != "causal" else None, self.sight))
        write = call.write_and_read if self._one_by_one else call.write
        cache = writing_cache(self._cache.layers, [None if pool is None else write(pool) for pool in self._cache.pools],
                              self._stacked(parts), parts[0].first if self._one_by_one else None)
        arguments: dict[str, Any] = {**self._inputs(parts, device), "past_key_values": cache, "use_cache": True}
        if "logits_to_keep" in self._names:
            arguments["logits_to_keep"] = 1
        self.adapters.use_for_all(parts[0].sequence.options.adapter)
        try:
            logits: torch.Tensor = self._logits(arguments, call)
        finally:
            self.adapters.use_for_all(None)
        if self._cache.has_states:
            for row, part in enumerate(parts):
                part.sequence.states = [_select(state, row) for state in states_after(cache)]
        return logits

    def _inputs(self, parts: list[Part], device: torch.device) -> dict[str, Any]:
        """The tokens and their positions, and what the vision part computed of the pictures among them: the model's code places it."""
        ids = [token for part in parts for token in part.ids]
        given: dict[str, Any] = {"input_ids": torch.tensor(ids, device=device).view(len(parts), -1)}
        rows = self._pictures.rows(ids)
        if rows is not None:
            given["input_ids"] = given["input_ids"].where(given["input_ids"] >= 0, self._pictures.token)
            given["mm_encoder_outputs"] = {"image": self._pictures.encoded(rows)}
        axes = self._pictures.axes(parts)
        if axes is not None:
            given["position_ids"] = axes.to(device).view(len(axes), len(parts), -1)
        elif "position_ids" in self._names:
            given["position_ids"] = torch.tensor([list(range(part.first, part.last)) for part in parts], device=device)
        return given

    def _logits(self, arguments: dict[str, Any], call: _Call) -> torch.Tensor:
        token = _call.set(call)
        try:
            with torch.no_grad(), nullcontext() if self._one_by_one else attention_by(self._model, NAME):
                logits: torch.Tensor = self._model(**arguments).logits[:, -1]
        finally:
            _call.reset(token)
        return logits

    def _stacked(self, parts: list[Part]) -> list[State | None]:
        """The states of all parts, copied, so that the model may change them in place."""
        states = [part.sequence.states for part in parts]
        if states[0] is None:
            return [None] * len(self._cache.layers)
        stacked: list[State | None] = []
        for layer in zip(*(each for each in states if each is not None), strict=True):
            kept = [state for state in layer if state is not None]
            stacked.append(None if not kept else tuple(         # type: ignore[arg-type]
                {number: torch.cat([state[kind][number] for state in kept]) for number in kept[0][kind]} for kind in (0, 1)))
        return stacked


def _select(state: State | None, row: int) -> State | None:
    return None if state is None else tuple(        # type: ignore[return-value]
        {number: tensor[row: row + 1].clone() for number, tensor in kind.items()} for kind in state)
