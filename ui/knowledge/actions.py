"""The buttons of the Knowledge tab. Each changes the page's session and returns a message to the browser, or "".

Nothing that comes from the page is trusted: a collection of another visitor does not exist for the engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine import EngineError
from engine.knowledge import SearchMode

from ..shared.actions import Actions, Click, whole_number
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.language import text
from ..shared.sources import viewer
from .parts import MODES
from .session import KnowledgeSession, Trial
from .view import SHOWN_DOCUMENTS

MAX_NAME, MAX_QUERY, MAX_PATH = 120, 2_000, 1_000
TRIAL_HITS = 10

actions: Actions[KnowledgeSession, str] = Actions(max_value_chars=300)


@contextmanager
def problem_shown(session: KnowledgeSession) -> Iterator[None]:
    """What is refused inside the block is shown; an earlier problem goes."""
    session.problem = None
    try:
        yield
    except (PageError, EngineError) as error:
        session.problem = error


def perform(context: Context, session: KnowledgeSession, click: Click) -> str:
    with problem_shown(session):
        return actions.run(context, session, click)
    return ""


def require_chosen(session: KnowledgeSession) -> str:
    if not session.chosen:
        raise PageError("error.gone")
    return session.chosen


# --- collections ---

@actions("choose")
def choose(context: Context, session: KnowledgeSession, click: Click) -> str:
    session.choose(context.knowledge.get(context.visitor.owner, click.value).id)
    return ""


def create(context: Context, session: KnowledgeSession, name: str) -> None:
    with problem_shown(session):
        if not name.strip():
            raise PageError("know.name_missing")
        session.choose(_created(context, name.strip()[:MAX_NAME]))


def _created(context: Context, name: str) -> str:
    return context.knowledge.create(context.visitor.owner, name, is_guest=not context.visitor.name).id


@actions("rename")
def rename(context: Context, session: KnowledgeSession, click: Click) -> str:
    context.knowledge.rename(context.visitor.owner, require_chosen(session), click.value.strip()[:MAX_NAME])
    return ""


@actions("delete")
def delete(context: Context, session: KnowledgeSession, click: Click) -> str:
    context.knowledge.delete(context.visitor.owner, click.value)
    session.choose("")
    return ""


# --- documents ---

def add_files(context: Context, session: KnowledgeSession, paths: Sequence[str]) -> None:
    """Read uploaded files, each once, which are then in the collection and no longer among the page's files."""
    files = [path for path in map(Path, dict.fromkeys(paths)) if path.is_file()]
    try:
        with problem_shown(session):
            if not files:
                raise PageError("error.gone")
            if not session.chosen:      # the first files: a collection for them
                session.choose(_created(context, text(context.language, "know.first")))
            context.knowledge.add_files(context.visitor.owner, session.chosen, [(path.name, path) for path in files])
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def add_dataset(context: Context, session: KnowledgeSession, name: str, column: str) -> None:
    with problem_shown(session):
        if not name.strip():
            raise PageError("tune.hub.nothing")
        token = context.library.permissions.hub_token(context.visitor)
        context.knowledge.add_dataset(context.visitor.owner, require_chosen(session), name.strip()[:MAX_NAME], column.strip()[:MAX_NAME],
                                      token=token)


def add_folder(context: Context, session: KnowledgeSession, folder: str) -> None:
    with problem_shown(session):
        if not folder.strip():
            raise PageError("know.folder_missing")
        context.knowledge.add_folder(context.visitor, require_chosen(session), folder.strip()[:MAX_PATH])


@actions("remove")
def remove(context: Context, session: KnowledgeSession, click: Click) -> str:
    context.knowledge.delete_document(context.visitor.owner, whole_number(click.value))
    return ""


@actions("again")
def index_again(context: Context, session: KnowledgeSession, click: Click) -> str:
    context.knowledge.reindex(context.visitor.owner, require_chosen(session))
    return ""


@actions("cancel")
def cancel(context: Context, session: KnowledgeSession, click: Click) -> str:
    context.knowledge.cancel(context.visitor.owner, require_chosen(session))
    return ""


@actions("download")
def download(context: Context, session: KnowledgeSession, click: Click) -> str:
    """Download the embedding model, so that texts are found by their meaning too."""
    context.library.permissions.require_operator(context.visitor, "download the embedding model")
    context.knowledge.download_embedder(context.visitor.owner, context.library.permissions.hub_token(context.visitor))
    return ""


@actions("more")
def show_more(context: Context, session: KnowledgeSession, click: Click) -> str:
    session.num_shown += SHOWN_DOCUMENTS
    return ""


@actions("read")
def read(context: Context, session: KnowledgeSession, click: Click) -> str:
    """Open a document, at a passage if one is named: "id begin end"."""
    document_id, begin, end = [*map(whole_number, click.value.split()[:3]), 0, 0, 0][:3]
    document, content = context.knowledge.document_text(context.visitor.owner, document_id)
    return viewer(context.language, document.name, content, begin, end)


def use_models(context: Context, session: KnowledgeSession, embedder: str, reranker: str) -> None:
    """Find texts with other models from now on; an empty name is that of the settings. Only for the operator."""
    with problem_shown(session):
        context.library.permissions.require_operator(context.visitor, "choose the models that find texts")
        context.knowledge.embedders.choose("embedder", embedder.strip()[:MAX_PATH] or None)
        context.knowledge.embedders.choose("reranker", reranker.strip()[:MAX_PATH] or None)


# --- trying a question ---

def search(context: Context, session: KnowledgeSession, query: str, mode: str) -> None:
    """What a question would find in the collection, in one of three ways."""
    asked: SearchMode = next((each for each in MODES if each == mode), MODES[0])
    with problem_shown(session):
        session.trial = None
        if not query.strip():
            raise PageError("know.query_missing")
        began = time.monotonic()
        found = context.knowledge.search(context.visitor.owner, [require_chosen(session)], query.strip()[:MAX_QUERY], TRIAL_HITS, asked)
        session.trial = Trial(query, asked, found, time.monotonic() - began)
