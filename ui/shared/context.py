"""What the parts of the page have in common: the engine, and every component that carries a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gradio as gr

from engine import BUILTIN, AgentSessions, Benchmarks, Conversations, Engine, Library

from .language import I18N, text

# How events of this page behave: each part says by itself what it waits for.
SILENT: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
QUICK: dict[str, Any] = {**SILENT, "queue": False}

Block = TypeVar("Block", bound=gr.blocks.Block)


def busy(component: gr.blocks.Block) -> dict[str, Any]:
    """An event during which `component` shows that it lasts."""
    return {**SILENT, "show_progress": "minimal", "show_progress_on": [component]}


@dataclass(frozen=True)
class Shared:
    """`labels` and `choices` are filled while the page is built and only read afterwards."""

    engine: Engine
    conversations: Conversations
    library: Library
    agent_sessions: AgentSessions
    benchmarks: Benchmarks
    labels: list[tuple[gr.blocks.Block, dict[str, str]]] = field(default_factory=list)
    choices: list[tuple[gr.Dropdown, dict[str, str]]] = field(default_factory=list)

    @property
    def is_builtin(self) -> bool:
        """Whether the model that answers now is the one that comes with the app."""
        spec = self.engine.spec or self.engine.default_spec()
        return spec.model == BUILTIN

    def labelled(self, kind: type[Block], keys: Mapping[str, str], **properties: Any) -> Block:
        """A component whose `keys` (property: text key) speak the browser's language, and follow a later choice."""
        block: Block = kind(**{name: I18N(key) for name, key in keys.items()}, **properties)
        self.labels.append((block, dict(keys)))
        return block

    def label_updates(self, language: str) -> list[dict[str, Any]]:
        return [gr.update(**{name: text(language, key) for name, key in keys.items()}) for _, keys in self.labels]

    def chooser(self, label: str, choices: Mapping[str, str], **properties: Any) -> gr.Dropdown:
        """A dropdown whose `choices` (value: text key) are in the visitor's language too; its first one is chosen."""
        named = [(text("en", key), value) for value, key in choices.items()]
        chosen = self.labelled(gr.Dropdown, {"label": label}, choices=named, value=named[0][1], filterable=False, **properties)
        self.choices.append((chosen, dict(choices)))
        return chosen

    def choice_updates(self, language: str) -> list[dict[str, Any]]:
        return [gr.update(choices=[(text(language, key), value) for value, key in choices.items()]) for _, choices in self.choices]
