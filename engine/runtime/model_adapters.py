"""The adapters of the loaded model: which ones a reply can choose, and the prompts of those with a chat template of their own."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from ..generation.adapters import require_adapter
from ..generation.context import ChatContext
from ..generation.lanes import OpenLane
from ..messages import GenerationOptions
from ..models.adapters import Adapter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ModelAdapters:
    """Safe to use from many threads. `default`: the name of the one that replies use if they choose none; "" for the base."""

    def __init__(self, lane: OpenLane, context: ChatContext, tokenizer: PreTrainedTokenizerBase) -> None:
        self._lane, self._context, self._tokenizer = lane, context, tokenizer
        self._lock = threading.Lock()
        self._added: dict[str, Adapter] = {}
        self._contexts: dict[str, ChatContext] = {}     # of those with a template of their own
        self.default = ""

    @property
    def added(self) -> dict[str, Adapter]:
        """Those that are loaded, by their names."""
        return dict(self._added)

    @property
    def num_bytes(self) -> int:
        return sum(adapter.size_bytes for adapter in self.added.values())

    def add(self, adapter: Adapter) -> str:
        """Load it, and return the name by which replies choose it: the last part of its source, or all of it if that is taken.

        Raises InvalidRequest and UnsupportedAdapter.
        """
        if self._lane.adapters is None:
            raise InvalidRequest("adapter", adapter.source, "left out: this model has no adapters here")
        with self._lock:
            taken = {name: each.source for name, each in self._added.items()}
            name = adapter.name if taken.get(adapter.name, adapter.source) == adapter.source else adapter.source
            if self._added.get(name) == adapter:
                return name
            context = self._own_context(adapter)
            end = context.turn_end_id() if context else None
            self._lane.adapters.add(name, adapter.folder, frozenset() if end is None else frozenset((end,)))
            self._contexts.pop(name, None)
            if context:
                self._contexts[name] = context
            self._added[name] = adapter
            return name

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
