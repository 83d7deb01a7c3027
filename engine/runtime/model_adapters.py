"""The adapters of the loaded model: which ones a reply can choose, and the prompts of those with a chat template of their own."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InvalidRequest, NotEnoughMemory
from ..generation.adapters import require_adapter
from ..generation.context import ChatContext
from ..generation.lanes import OpenLane
from ..messages import GenerationOptions
from ..models.adapters import MOST_ADAPTERS, Adapter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ModelAdapters:
    """Safe to use from many threads. `default`: the name of the one that replies use if they choose none; "" for the base.

    `left_out`: sentences about those that could not be loaded again with their model.
    """

    def __init__(self, lane: OpenLane, context: ChatContext, tokenizer: PreTrainedTokenizerBase) -> None:
        self._lane, self._context, self._tokenizer = lane, context, tokenizer
        self._lock = threading.Lock()
        self._added: dict[str, Adapter] = {}
        self._contexts: dict[str, ChatContext] = {}     # of those with a template of their own
        self.default = ""
        self.left_out: tuple[str, ...] = ()

    @property
    def added(self) -> dict[str, Adapter]:
        """Those that are loaded, by their names, in the order in which they came."""
        return dict(self._added)

    @property
    def default_source(self) -> str | None:
        with self._lock:
            adapter = self._added.get(self.default)
        return adapter.source if adapter else None

    def use_by_default(self, source: str | None) -> None:
        """The adapter of this source, for replies that choose none; the base if there is no such adapter."""
        with self._lock:
            self.default = next((name for name, each in self._added.items() if each.source == source), "")

    @property
    def num_bytes(self) -> int:
        return sum(adapter.size_bytes for adapter in self.added.values())

    def require_room(self, adapters: Sequence[Adapter], free_bytes: int) -> None:
        """Check that those of them that are not loaded yet fit. Raises NotEnoughMemory."""
        loaded = {each.source for each in self.added.values()}
        new = [each for each in adapters if each.source not in loaded]
        if (needed := sum(each.size_bytes for each in new)) > free_bytes:
            raise NotEnoughMemory(new[0].name, needed, free_bytes, "Remove another adapter, or load a smaller model.")

    def add(self, adapter: Adapter) -> str:
        """Load it, and return the name by which replies choose it: the one that it had, or the last part of its source, or all of it if
        that is taken. Raises InvalidRequest, also for more than MOST_ADAPTERS, and UnsupportedAdapter.
        """
        if self._lane.adapters is None:
            raise InvalidRequest("adapter", adapter.source, "left out: this model has no adapters here")
        with self._lock:
            name = self._name_of(adapter)
            adapter = replace(adapter, known_as=name)
            if self._added.get(name) == adapter:
                return name
            if name not in self._added and len(self._added) >= MOST_ADAPTERS:
                raise InvalidRequest("adapters", len(self._added) + 1, f"at most {MOST_ADAPTERS} of one model")
            context = self._own_context(adapter)
            end = context.turn_end_id() if context else None
            self._lane.adapters.add(name, adapter.folder, frozenset() if end is None else frozenset((end,)))
            self._contexts.pop(name, None)
            if context:
                self._contexts[name] = context
            self._added[name] = adapter
            return name

    def _name_of(self, adapter: Adapter) -> str:
        """The caller holds the lock."""
        taken = {name: each.source for name, each in self._added.items()}
        own = next((name for name, source in taken.items() if source == adapter.source), "")
        return own or next((name for name in (adapter.known_as, adapter.name) if name and name not in taken), adapter.source)

    def remove(self, name: str) -> None:
        """Replies that use it end with AdapterRemoved. Raises InvalidRequest for a name that no adapter has."""
        require_adapter(name, self._lane.adapters)
        with self._lock:
            self._added.pop(name, None)
            self._contexts.pop(name, None)
            self.default = "" if self.default == name else self.default
            if self._lane.adapters is not None:
                self._lane.adapters.remove(name)

    def chosen(self, options: GenerationOptions) -> GenerationOptions:
        """The same with the name of the adapter that a reply will use, or "". Raises InvalidRequest for one that is not loaded."""
        require_adapter(options.adapter, self._lane.adapters)
        return replace(options, adapter=self.default) if options.adapter is None else options

    def context(self, name: str | None) -> ChatContext:
        """What builds the prompts of this adapter's replies."""
        return self._contexts.get(name or "", self._context)

    def _own_context(self, adapter: Adapter) -> ChatContext | None:
        template = adapter.chat_template
        if not template or template == self._tokenizer.chat_template:
            return None
        tokenizer = copy.copy(self._tokenizer)      # with the same vocabulary
        tokenizer.chat_template = template
        context = ChatContext(tokenizer, self._context.window_tokens)
        context.reader = self._context.reader
        return context
