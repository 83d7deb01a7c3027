"""What the Knowledge tab shows for a session: a value for each component that changes."""

from __future__ import annotations

from typing import Any

import gradio as gr

from engine import EngineError
from engine.knowledge import Collection

from ..shared.context import Context
from ..shared.files_menu import files_menu
from ..shared.html import problem_box
from ..shared.language import text
from . import view
from .parts import KnowledgeParts
from .session import KnowledgeSession

Values = dict[gr.blocks.Block, Any]


class KnowledgeContent:
    """The current content of the tab for one session."""

    def __init__(self, context: Context, session: KnowledgeSession) -> None:
        self._context, self._session, self._language = context, session, context.language
        try:
            self._collections = tuple(context.knowledge.list(context.visitor.owner))
        except EngineError as error:        # the database cannot be read
            self._collections, session.problem = (), error
        self._chosen = next((each for each in self._collections if each.id == session.chosen), None)
        if self._chosen is None:            # deleted, perhaps on another page
            session.chosen = ""

    def values(self, parts: KnowledgeParts) -> Values:
        session, language, chosen = self._session, self._language, self._chosen
        is_operator = self._context.library.permissions.is_operator(self._context.visitor)
        return {**self.progress(parts), parts.problem: problem_box(session.problem, language) if session.problem else "",
                parts.add.more: gr.update(visible=chosen is not None),
                parts.add.folders: gr.update(visible=is_operator and not self._context.engine.settings.is_public),
                parts.trial.found: view.found_html(session.trial, language, is_operator=is_operator) if session.trial else "",
                parts.models.box: gr.update(visible=is_operator),
                parts.menu: files_menu(self._context)}

    def progress(self, parts: KnowledgeParts) -> Values:
        """What changes while documents are being read."""
        language, chosen = self._language, self._chosen
        is_reading, about, documents = False, "", ""
        if chosen is not None:
            try:
                progress = self._context.knowledge.progress(self._context.visitor.owner, chosen.id)
                is_reading = progress is not None
                about = view.progress_html(progress, language) if progress else self._notice(chosen)
                documents = self._documents(chosen)
            except EngineError as error:        # deleted on another page just now
                about = problem_box(error, language)
        return {parts.collections: view.collections_html(self._collections, self._session.chosen, language),
                parts.head: view.head_html(chosen, language) if chosen else self._empty(),
                parts.progress: about, parts.documents: documents, parts.timer: gr.Timer(active=is_reading),
                parts.trial.box: gr.update(visible=chosen is not None and chosen.num_pieces > 0)}

    def _notice(self, chosen: Collection) -> str:
        """What keeps the collection from being found, at all or by meaning, and the button that changes it."""
        context, language = self._context, self._language
        embedder = context.knowledge.embedder()
        is_operator = context.library.permissions.is_operator(context.visitor)
        needs = context.knowledge.needs_index(context.visitor.owner, chosen.id) if chosen.num_documents else ""
        if needs == "documents" or not embedder.name:
            return view.again_html(needs, language) if needs else ""
        if embedder.problem and is_operator:        # it may name a folder
            return view.notice_html(text(language, "know.embedder.problem", name=embedder.name, problem=embedder.problem))
        if not embedder.is_stored:
            return view.download_html(embedder.name, language, may_download=is_operator)
        return view.again_html(needs, language) if needs else ""

    def _empty(self) -> str:
        spec = self._context.engine.spec
        return view.empty_html(self._language, is_public=self._context.engine.settings.is_public,
                               is_remote=spec is not None and spec.is_remote)

    def _documents(self, chosen: Collection) -> str:
        documents = self._context.knowledge.documents(self._context.visitor.owner, chosen.id)
        return view.documents_html(documents, self._session.num_shown, self._language)
