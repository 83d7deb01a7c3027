"""What the Knowledge tab shows, as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine.background import Job
from engine.knowledge import Collection, Document, Hit

from ..shared.html import action_button, megabytes, measured_table
from ..shared.language import number, text
from ..shared.sources import place_text
from .session import Trial

SHOWN_CHARS = 400           # of a piece that was found
SHOWN_DOCUMENTS = 100       # until more are asked for


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
    if collection.is_temporary:
        facts = text(language, "know.temporary", facts=facts)
    return (f'<div class="mc-item"><button type="button" data-do="choose" data-value="{html.escape(collection.id)}"{here}>'
            f'<span>{html.escape(collection.name)}</span><span class="mc-found">{html.escape(facts)}</span></button></div>')


def empty_html(language: str, *, is_public: bool) -> str:
    """What the tab is for, before anything is chosen."""
    formats = say(language, "know.empty.formats.public" if is_public else "know.empty.formats")
    return (f'<div class="mc-welcome"><h2>{say(language, "know.empty.title")}</h2><p>{say(language, "know.empty.note")}</p>'
            f'<p class="mc-note">{formats}</p></div>')


def head_html(collection: Collection, language: str) -> str:
    name = html.escape(collection.name)
    facts = [text(language, "know.documents", count=number(language, collection.num_documents)),
             text(language, "know.pieces", count=number(language, collection.num_pieces)), megabytes(language, collection.size_bytes)]
    facts.append(text(language, "know.embedder", name=collection.embedder) if collection.embedder else text(language, "know.words_only"))
    shown = "".join(f"<span>{html.escape(fact)}</span>" for fact in facts)
    ask = say(language, "know.rename.ask")
    confirm = say(language, "know.delete.ask", name=collection.name, count=number(language, collection.num_documents))
    acts = (action_button(text(language, "side.rename"), "rename", collection.name, extra=f' data-ask="{ask}"')
            + action_button(text(language, "know.again"), "again")
            + action_button(text(language, "know.delete"), "delete", collection.id, extra=f' data-confirm="{confirm}"'))
    return f'<div class="mc-know-head"><h2>{name}</h2>{acts}</div><p class="mc-note mc-facts">{shown}</p>'


def progress_html(jobs: Sequence[Job], language: str) -> str:
    return "".join(_progress(job, language) for job in jobs)


def _progress(job: Job, language: str) -> str:
    title = say(language, "jobs.index", title=job.title)
    cancel = action_button(text(language, "jobs.cancel"), "cancel", str(job.id))
    numbers = f' max="{job.total}" value="{job.done}"' if job.total else ""
    count = f"{number(language, job.done)} / {number(language, job.total)}" if job.total else ""
    detail = html.escape(" · ".join(filter(None, (count, job.note))))
    return f'<div class="mc-job"><b>{title}</b><progress aria-label="{title}"{numbers}></progress><span>{detail}</span>{cancel}</div>'


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
    remove = action_button(text(language, "attach.remove"), "remove", str(document.id), extra=f' data-confirm="{confirm}" aria-label="{label}"')
    return [title, state, number(language, document.num_pieces), megabytes(language, document.size_bytes), remove]


def found_html(trial: Trial, language: str) -> str:
    """What a question found, best first, with ranks and scores."""
    notes = "".join(f'<p class="mc-note">{html.escape(note)}</p>' for note in trial.result.notes)
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
    return (f'<li><button type="button" class="mc-link-act" data-do="read" data-value="{value}">{html.escape(where)}</button>'
            f'<p>{html.escape(shown)}</p><p class="mc-note">{html.escape(" · ".join(_scores(hit, language)))}</p></li>')


def _scores(hit: Hit, language: str) -> list[str]:
    none = text(language, "know.rank.none")
    words = text(language, "know.rank.words", rank=number(language, hit.text_rank) if hit.text_rank else none)
    rank = number(language, hit.vector_rank) if hit.vector_rank else none
    meaning = text(language, "know.rank.meaning", rank=rank)
    if hit.vector_score is not None:
        meaning = f"{meaning} ({number(language, hit.vector_score, 3)})"
    again = [text(language, "know.rank.reranked", score=number(language, hit.rerank_score, 3))] if hit.rerank_score is not None else []
    return [words, meaning, *again, text(language, "know.score", score=number(language, hit.score, 4))]
