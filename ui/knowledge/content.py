"""What the Knowledge tab shows for a session: a value for each component that changes."""

from __future__ import annotations

from typing import Any

import gradio as gr

from engine import EngineError
from engine.background import Job
from engine.knowledge import Collection

from ..shared.context import Context
from ..shared.files_menu import files_menu
from ..shared.html import problem_box
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
        return {**self.progress(parts), parts.problem: problem_box(session.problem, language) if session.problem else "",
                parts.add.more: gr.update(visible=chosen is not None),
                parts.trial.found: view.found_html(session.trial, language) if session.trial else "",
                parts.menu: files_menu(self._context)}

    def progress(self, parts: KnowledgeParts) -> Values:
        """What changes while documents are being read."""
        language, chosen = self._language, self._chosen
        jobs = self._jobs(chosen)
        self._session.is_indexing = bool(jobs)
        is_public = self._context.engine.settings.is_public
        return {parts.collections: view.collections_html(self._collections, self._session.chosen, language),
                parts.head: view.head_html(chosen, language) if chosen else view.empty_html(language, is_public=is_public),
                parts.progress: view.progress_html(jobs, language), parts.documents: self._documents(chosen),
                parts.trial.box: gr.update(visible=chosen is not None and chosen.num_pieces > 0), parts.timer: gr.Timer(active=bool(jobs))}

    def _jobs(self, chosen: Collection | None) -> list[Job]:
        return list(self._context.knowledge.jobs(self._context.visitor.owner, chosen.id)) if chosen else []

    def _documents(self, chosen: Collection | None) -> str:
        if chosen is None:
            return ""
        try:
            documents = self._context.knowledge.documents(self._context.visitor.owner, chosen.id)
        except EngineError as error:
            return problem_box(error, self._language)
        return view.documents_html(documents, self._session.num_shown, self._language)
