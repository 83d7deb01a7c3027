"""What all tabs use: the services behind the page, the builder of its labelled components, and the context of a handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timezone
from typing import Any, TypeVar

import gradio as gr

from engine import BUILTIN, AgentSessions, Benchmarks, Conversations, Engine, Library
from engine.finetune import Examiner, FineTunes, Tables
from engine.knowledge import Knowledge
from engine.library import Visitor

from .language import I18N, has_text, language_of, text
from .visitor import Account, account_of, visitor_of, zone_of

# Options of this page's events. SILENT: without Gradio's progress display, since each part of the page shows its own.
SILENT: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
QUICK: dict[str, Any] = {**SILENT, "queue": False}

Block = TypeVar("Block", bound=gr.blocks.Block)


def busy(component: gr.blocks.Block) -> dict[str, Any]:
    """Return the options of an event that shows Gradio's minimal progress display on `component`."""
    return {**SILENT, "show_progress": "minimal", "show_progress_on": [component]}


def changes(values: dict[gr.blocks.Block, Any]) -> Any:
    """Return `values` (by component) as the result of a handler. An empty dictionary would be a value to Gradio, so it is replaced."""
    return values or gr.skip()


@dataclass(frozen=True)
class Services:
    """The parts of the engine that the page uses. A process has one of each."""

    engine: Engine
    conversations: Conversations
    library: Library
    agent_sessions: AgentSessions
    benchmarks: Benchmarks
    tables: Tables
    examiner: Examiner
    fine_tunes: FineTunes
    knowledge: Knowledge

    @property
    def is_builtin(self) -> bool:
        """Whether the model in use is the one that comes with the app."""
        spec = self.engine.spec or self.engine.default_spec()
        return spec.model == BUILTIN


def build_services(engine: Engine, conversations: Conversations | None = None, library: Library | None = None,
                   agent_sessions: AgentSessions | None = None, benchmarks: Benchmarks | None = None,
                   knowledge: Knowledge | None = None) -> Services:
    """Return the services that use `engine`. Those that are not given are created."""
    conversations = conversations or Conversations(engine)
    library = library or Library(engine, conversations)
    tables = Tables(engine.settings)
    knowledge = knowledge or Knowledge(engine, library.jobs, engine.embedders, library.hub)
    conversations.answer_from(knowledge)
    return Services(engine, conversations, library, agent_sessions or AgentSessions(engine), benchmarks or Benchmarks(engine, library.jobs),
                    tables, Examiner(engine.settings, tables), FineTunes(engine, library, tables), knowledge)


@dataclass(frozen=True)
class Context(Services):
    """What a handler needs: the services, the visitor, and the visitor's language and time zone.

    `account`: the visitor's Hugging Face account, on a Space where visitors can sign in.
    """

    visitor: Visitor = field(default_factory=Visitor)
    language: str = "en"
    zone: timezone = UTC
    account: Account | None = None

    @classmethod
    def of(cls, services: Services, request: gr.Request | None) -> Context:
        visitor = visitor_of(request)
        services.engine.visitors.know(visitor.owner, visitor.name)
        return cls(**vars(services), visitor=visitor, language=language_of(request), zone=zone_of(request), account=account_of(request))


@dataclass(frozen=True)
class PageBuilder:
    """Creates components with texts, and remembers them so that a change of language can update each.

    `labels` and `choices` are filled while the page is built and only read afterwards.
    """

    services: Services
    labels: list[tuple[gr.blocks.Block, dict[str, str]]] = field(default_factory=list)
    choices: list[tuple[gr.Dropdown | gr.CheckboxGroup, dict[str, str]]] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        return self.services.engine

    @property
    def conversations(self) -> Conversations:
        return self.services.conversations

    @property
    def library(self) -> Library:
        return self.services.library

    @property
    def agent_sessions(self) -> AgentSessions:
        return self.services.agent_sessions

    @property
    def benchmarks(self) -> Benchmarks:
        return self.services.benchmarks

    @property
    def is_builtin(self) -> bool:
        return self.services.is_builtin

    def context(self, request: gr.Request | None) -> Context:
        return Context.of(self.services, request)

    def labelled(self, kind: type[Block], keys: Mapping[str, str], **properties: Any) -> Block:
        """Create a component whose `keys` (property: text key) are shown in the visitor's language."""
        block: Block = kind(**{name: I18N(key) for name, key in keys.items()}, **properties)
        self.labels.append((block, dict(keys)))
        return block

    def chooser(self, label: str, choices: Mapping[str, str], **properties: Any) -> gr.Dropdown:
        """Create a dropdown whose `choices` (value: text key) are translated too; the first one is selected."""
        named = [(text("en", key), value) for value, key in choices.items()]
        dropdown = self.labelled(gr.Dropdown, {"label": label}, choices=named, value=named[0][1], filterable=False, **properties)
        self.choices.append((dropdown, dict(choices)))
        return dropdown

    def checkboxes(self, label: str, choices: Mapping[str, str], info: str, **properties: Any) -> gr.CheckboxGroup:
        """As `chooser`, for any number of choices. A text key that is none is a name, which no language changes."""
        named = [(_named("en", key), value) for value, key in choices.items()]
        group = self.labelled(gr.CheckboxGroup, {"label": label, "info": info}, choices=named, **properties)
        self.choices.append((group, dict(choices)))
        return group

    def text_updates(self, language: str, *, labels: bool = True, choices: bool = True) -> dict[gr.blocks.Block, dict[str, Any]]:
        """Return an update for each component with its texts in `language`."""
        changes: dict[gr.blocks.Block, dict[str, Any]] = {}
        if labels:
            for block, keys in self.labels:
                changes.setdefault(block, {}).update({name: text(language, key) for name, key in keys.items()})
        if choices:
            for dropdown, options in self.choices:
                changes.setdefault(dropdown, {})["choices"] = [(_named(language, key), value) for value, key in options.items()]
        return {block: gr.update(**properties) for block, properties in changes.items()}


def _named(language: str, key: str) -> str:
    return text(language, key) if has_text(key) else key
