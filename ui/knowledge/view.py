"""What the Knowledge tab shows, as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine import Settings
from engine.embedding import DOWNLOAD_BYTES
from engine.knowledge import Collection, Document, Hit, IndexProgress

from ..shared.html import action_button, measured_table, megabytes
from ..shared.language import duration, number, text
from ..shared.sources import place_text
from .session import Trial

SHOWN_CHARS = 400           # of a piece that was found
SHOWN_DOCUMENTS = 100       # until more are asked for
DEFAULT_EMBEDDER = Settings().embedder      # whose size is known before it is downloaded


def say(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def collections_html(collections: Sequence[Collection], chosen: str, language: str) -> str:
    if not collections:
        return f'<p class="mc-empty">{say(language, "know.none")}</p>'
    return (f'<nav class="mc-chats" aria-label="{say(language, "know.collections")}">'
            f'{"".join(_collection(each, chosen, language) for each in collections)}</nav>')


def _collection(collection: Collection, chosen: str, language: str) -> str:
    here = ' aria-current="true"' if collection.id == chosen else ""
    facts = text(language, "know.documents", count=number(language, collection.num_documents))
    return (f'<div class="mc-item"><button type="button" data-do="choose" data-value="{html.escape(collection.id)}"{here}>'
            f'<span>{html.escape(collection.name)}</span><span class="mc-found">{html.escape(facts)}</span></button></div>')


def empty_html(language: str, *, is_public: bool, is_remote: bool) -> str:
    """What the tab is for, before anything is chosen, and where files go. `is_remote`: the chat model is on another server."""
    kind = ".public" if is_public else ""
    where = [f"know.empty.where{kind}", *(["know.empty.remote"] if is_remote else [])]
    notes = " ".join(say(language, key) for key in ("know.empty.note", *where))
    return (f'<div class="mc-welcome"><h2>{say(language, "know.empty.title")}</h2><p>{notes}</p>'
            f'<p class="mc-note">{say(language, f"know.empty.formats{kind}")}</p></div>')


def head_html(collection: Collection, language: str) -> str:
    name = html.escape(collection.name)
    facts = [text(language, "know.documents", count=number(language, collection.num_documents)),
             text(language, "know.pieces", count=number(language, collection.num_pieces)), megabytes(language, collection.size_bytes)]
    embedder = collection.embedder.rpartition("@")[0]
    facts.append(text(language, "know.embedder", name=embedder) if embedder else text(language, "know.words_only"))
    shown = "".join(f"<span>{html.escape(fact)}</span>" for fact in facts)
    ask = say(language, "know.rename.ask")
    confirm = say(language, "know.delete.ask", name=collection.name, count=number(language, collection.num_documents))
    acts = (action_button(text(language, "side.rename"), "rename", collection.name, extra=f' data-ask="{ask}"')
            + action_button(text(language, "know.again"), "again")
            + action_button(text(language, "know.delete"), "delete", collection.id, extra=f' data-confirm="{confirm}"'))
    return f'<div class="mc-know-head"><h2>{name}</h2>{acts}</div><p class="mc-note mc-facts">{shown}</p>'


def progress_html(now: IndexProgress, language: str) -> str:
    """A bar that counts passages once their number is known, and what is being read."""
    title = say(language, "know.state.indexing")
    done, total = (now.pieces, now.num_pieces) if now.num_pieces else (now.documents, now.num_documents)
    numbers = f' max="{total}" value="{min(done, total)}"' if total else ""
    counts = [("know.documents", now.documents, now.num_documents), ("know.pieces", now.pieces, now.num_pieces)]
    parts = [text(language, key, count=f"{number(language, done)} / {number(language, whole)}") for key, done, whole in counts if whole]
    left = [] if now.left_s is None else [text(language, "jobs.left", time=duration(language, now.left_s))]
    detail = html.escape(" · ".join([*parts, *left, *filter(None, [now.name])]))
    cancel = action_button(text(language, "jobs.cancel"), "cancel")
    return f'<div class="mc-job"><b>{title}</b><progress aria-label="{title}"{numbers}></progress><span>{detail}</span>{cancel}</div>'


def notice_html(words: str, button: str = "") -> str:
    return f'<p class="mc-know-notice"><span>{html.escape(words)}</span>{button}</p>'


def download_html(name: str, language: str, *, may_download: bool) -> str:
    size = megabytes(language, DOWNLOAD_BYTES) if name == DEFAULT_EMBEDDER else ""
    button = action_button(text(language, "know.download", size=size).strip(), "download") if may_download else ""
    return notice_html(text(language, "know.embedder.missing", name=name), button)


def again_html(needs: str, language: str) -> str:
    """`needs`: as Knowledge.needs_index says."""
    words = text(language, "know.waiting" if needs == "documents" else "know.stale")
    return notice_html(words, action_button(text(language, "know.again"), "again"))


def documents_html(documents: Sequence[Document], num_more: int, language: str) -> str:
    if not documents:
        return f'<p class="mc-empty">{say(language, "know.no_documents")}</p>'
    head = [text(language, f"know.col.{name}") for name in ("name", "state", "pieces", "size")] + [""]
    rows = [_document(each, language) for each in documents[:SHOWN_DOCUMENTS + num_more]]
    left = len(documents) - len(rows)
    more = action_button(text(language, "know.show_more", count=number(language, left)), "more") if left else ""
    return measured_table(head, rows, text(language, "know.documents.title")) + more


def _document(document: Document, language: str) -> list[str]:
    name = html.escape(document.name)
    title = name
    if document.state == "ready":
        title = f'<button type="button" class="mc-link-act" data-do="read" data-value="{document.id}">{name}</button>'
    state = say(language, f"know.state.{document.state}")
    if document.problem:
        state = f'<span class="mc-know-bad">{state}: {html.escape(document.problem)}</span>'
    label = say(language, "know.remove.name", name=document.name)
    confirm = say(language, "know.remove.ask", name=document.name)
    extra = f' data-confirm="{confirm}" aria-label="{label}"'
    remove = action_button(text(language, "attach.remove"), "remove", str(document.id), extra=extra)
    return [title, state, number(language, document.num_pieces), megabytes(language, document.size_bytes), remove]


def found_html(trial: Trial, language: str, *, is_operator: bool) -> str:
    """What a question found, best first, with ranks and scores. A problem with a model may name a folder: only the operator reads it."""
    problem = trial.result.problem if is_operator else text(language, "know.note.in_log")
    shown = [say(language, f"know.note.{note}", problem=problem) for note in trial.result.notes]
    if trial.result.hits and not trial.result.likely:
        shown.append(say(language, "know.unlikely"))
    notes = "".join(f'<p class="mc-note">{note}</p>' for note in shown)
    if not trial.result.hits:
        return f'{notes}<p class="mc-empty" role="status">{say(language, "know.nothing")}</p>'
    took = say(language, "know.took", count=number(language, len(trial.result.hits)), ms=number(language, 1000 * trial.seconds))
    items = "".join(_hit(hit, language) for hit in trial.result.hits)
    return f'{notes}<p class="mc-note" role="status">{took}</p><ol class="mc-know-hits">{items}</ol>'


def _hit(hit: Hit, language: str) -> str:
    shown = hit.piece.text if len(hit.piece.text) <= SHOWN_CHARS else f"{hit.piece.text[:SHOWN_CHARS]}…"
    place = hit.piece.place
    where = " · ".join(filter(None, (hit.document, place_text(language, place.page, place.row, place.heading))))
    value = f"{hit.piece.document} {place.begin} {place.end}"
    kind = "" if hit.is_likely else ' class="is-unlikely"'
    return (f'<li{kind}><button type="button" class="mc-link-act" data-do="read" data-value="{value}">{html.escape(where)}</button>'
            f'<p>{html.escape(shown)}</p><p class="mc-note">{html.escape(" · ".join(_scores(hit, language)))}</p></li>')


def _scores(hit: Hit, language: str) -> list[str]:
    none = text(language, "know.rank.none")
    words = text(language, "know.rank.words", rank=number(language, hit.text_rank) if hit.text_rank else none)
    rank = number(language, hit.vector_rank) if hit.vector_rank else none
    meaning = text(language, "know.rank.meaning", rank=rank)
    if hit.vector_score is not None:
        meaning = f"{meaning} ({number(language, hit.vector_score, 3)})"
    again = [text(language, "know.rank.reranked", score=number(language, hit.rerank_score, 3))] if hit.rerank_score is not None else []
    unlikely = [] if hit.is_likely else [text(language, "know.rank.unlikely")]
    return [words, meaning, *again, text(language, "know.score", score=number(language, hit.score, 4)), *unlikely]
