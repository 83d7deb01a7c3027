"""The list of chats by day, with search and with buttons to open, rename, pin and delete. page.js sends their clicks as events."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import gradio as gr

from engine.chat import ChatSummary, SearchHit

from ..shared.context import PageBuilder
from ..shared.html import problem_box
from ..shared.language import number, text
from ..shared.visitor import Account
from .session import ChatSession

WORDS = ("ok", "cancel", "close", "copy", "copied", "wrap")      # texts of dialogs and buttons that page.js makes
LISTED = 100        # chats shown until the visitor asks for more
# Many events update the list, and the results of two quick keystrokes may arrive in any order: a list for another text is requested again.
LIST_JS = """
let asking;
const ask = (tries, wait) => {
  clearTimeout(asking);
  asking = setTimeout(() => {
    const box = document.querySelector('#mc-search :is(input, textarea)'), shown = element.querySelector('[data-query]');
    if (!tries || !box || !shown || shown.dataset.query === box.value) return;
    trigger('lag');
    ask(tries - 1, 800);
  }, wait);
};
watch('value', () => ask(5, 200));
"""


@dataclass(frozen=True)
class Sidebar:
    new: gr.Button
    search: gr.Textbox
    chats: gr.HTML
    upload: gr.UploadButton


def build_sidebar(builder: PageBuilder) -> Sidebar:
    with gr.Column(elem_id="mc-side", elem_classes="mc-side"):
        new = builder.labelled(gr.Button, {"value": "chat.new"}, size="sm", min_width=0, elem_id="mc-new")
        search = builder.labelled(gr.Textbox, {"label": "side.search", "placeholder": "side.search"}, show_label=False, container=False,
                                 lines=1, max_lines=1, elem_id="mc-search", elem_classes="mc-search")
        chats = gr.HTML("", elem_id="mc-chats", elem_classes="mc-chats-box", apply_default_css=False, js_on_load=LIST_JS)
        upload = builder.labelled(gr.UploadButton, {"label": "import.title"}, size="sm", elem_id="mc-import", elem_classes="mc-link",
                                 file_types=[".json", ".jsonl"], file_count="single")
    return Sidebar(new, search, chats, upload)


def list_html(found: Sequence[ChatSummary] | Sequence[SearchHit], session: ChatSession, language: str, zone: timezone, *,
              can_compare: bool = False) -> str:
    """Chats grouped by the day of their last change, or search results with the matching words marked.

    `can_compare`: chats can also be searched by meaning.
    """
    current = session.chat.id if session.chat else ""
    hits = [each for each in found if isinstance(each, SearchHit)]
    summaries = [each for each in found if isinstance(each, ChatSummary)]
    if session.query.strip():
        body = "".join(_item(hit.chat, current, language, _found(hit)) for hit in hits)
        body = body or _empty("side.nothing", language)
        if can_compare:
            body += _by_meaning(session, {hit.chat.id for hit in hits}, language)
        return _list(body, session.query, language)
    if not summaries:
        return _list(_empty("side.empty", language), session.query, language)
    limit = session.list_size or LISTED
    groups: dict[str, list[str]] = {}
    for chat in summaries[:limit]:
        groups.setdefault(_day(chat, language, zone), []).append(_item(chat, current, language))
    body = "".join(f'<h3>{html.escape(day)}</h3>{"".join(items)}' for day, items in groups.items())
    acts = [("more-chats", "side.more")] if len(summaries) > limit else []
    for act, key in [*acts, ("export-all", "export.all")]:
        body += _wide_act(act, key, language)
    return _list(body, session.query, language)


def _by_meaning(session: ChatSession, shown: Collection[str], language: str) -> str:
    """Below the chats with the words: those with a related meaning, or the button that searches for them."""
    last = session.by_meaning
    if last is None or last.query != session.query:
        return _wide_act("by-meaning", "side.meaning", language)
    head = f'<h3>{html.escape(text(language, "side.by_meaning"))}</h3>'
    if last.problem:
        return head + problem_box(last.problem, language)
    if last.found is None:
        return head + f'<p class="mc-empty" role="status">{html.escape(text(language, "side.comparing"))}</p>'
    current = session.chat.id if session.chat else ""
    items = "".join(_item(hit.chat, current, language, _found(hit)) for hit in last.found.hits if hit.chat.id not in shown)
    left = html.escape(text(language, "side.left", count=number(language, last.found.num_left))) if last.found.num_left else ""
    more = f'<p class="mc-empty">{left}</p>{_wide_act("by-meaning", "side.go_on", language)}' if left else ""
    return head + (items or _empty("side.nothing_related", language)) + more


def _wide_act(act: str, key: str, language: str) -> str:
    return f'<button type="button" class="mc-wide-act" data-act="{act}" data-id="0">{html.escape(text(language, key))}</button>'


def sign_html(account: Account | None, language: str) -> str:
    """The link to sign in or out. It leads to one of Gradio's own pages, which redirects to Hugging Face and back."""
    if account is not None:
        label = html.escape(text(language, "sign.out", name=account.name))
        return f'<a class="mc-wide-act" href="logout?_target_url=/">{label}</a>'
    label, note = (html.escape(text(language, key)) for key in ("sign.in", "sign.note"))
    return f'<a class="mc-wide-act" href="login/huggingface?_target_url=/" title="{note}">{label}</a>'


def space_html(space: str, host: str, language: str) -> str:
    """On a Space: the link to make a copy of it, and the markup that shows it on another page."""
    frame = f'<iframe src="https://{host}" width="100%" height="700" frameborder="0" allow="clipboard-write"></iframe>'
    duplicate, embed, note, copy = (html.escape(text(language, key)) for key in (
        "space.duplicate", "space.embed", "space.embed.note", "chat.copy"))
    link = (f'<a class="mc-wide-act" target="_blank" rel="noopener" '
            f'href="https://huggingface.co/spaces/{html.escape(space)}?duplicate=true">{duplicate}</a>')
    if not host:
        return link
    return (f'{link}<details class="mc-embed"><summary>{embed}</summary><p>{note}</p>'
            f'<pre tabindex="0">{html.escape(frame)}</pre>'
            f'<button type="button" class="mc-copy" data-text="{html.escape(frame)}">{copy}</button></details>')


def _list(body: str, query: str, language: str) -> str:
    words = "".join(f' data-{key}="{html.escape(text(language, f"dialog.{key}"))}"' for key in WORDS)
    label = html.escape(text(language, "side.title"))
    return (f'<nav class="mc-chats" aria-label="{label}" data-query="{html.escape(query)}">{body}</nav>'
            f'<div id="mc-words" hidden{words}></div>')


def _empty(key: str, language: str) -> str:
    return f'<p class="mc-empty">{html.escape(text(language, key))}</p>'


def _found(hit: SearchHit) -> str:
    return "".join(f"<mark>{html.escape(piece)}</mark>" if is_match else html.escape(piece) for piece, is_match in hit.pieces)


def _item(chat: ChatSummary, current: str, language: str, found: str = "") -> str:
    def say(key: str, **values: object) -> str:
        return html.escape(text(language, key, **values))

    title, here = html.escape(chat.title), ' aria-current="page"' if chat.id == current else ""
    pin, pin_key = ("unpin", "side.unpin") if chat.is_pinned else ("pin", "side.pin")
    menu = (f'<button type="button" data-act="rename" data-id="{chat.id}" data-ask="{say("side.rename.ask")}" data-value="{title}">'
            f'{say("side.rename")}</button>'
            f'<button type="button" data-act="{pin}" data-id="{chat.id}">{say(pin_key)}</button>'
            f'<button type="button" data-act="delete" data-id="{chat.id}">{say("chat.delete")}</button>')
    snippet = f'<span class="mc-found">{found}</span>' if found else ""
    return (f'<div class="mc-item"><button type="button" data-act="open" data-id="{chat.id}" title="{title}"{here}>'
            f'<span>{title}</span>{snippet}</button>'
            f'<details class="mc-menu"><summary aria-label="{say("side.actions", title=chat.title)}">⋯</summary>'
            f'<div>{menu}</div></details></div>')


def _day(chat: ChatSummary, language: str, zone: timezone) -> str:
    if chat.is_pinned:
        return text(language, "side.pinned")
    day, today = datetime.fromtimestamp(chat.updated, zone).date(), datetime.now(zone).date()
    if day >= today:
        return text(language, "side.today")
    if day == today - timedelta(days=1):
        return text(language, "side.yesterday")
    if day > today - timedelta(days=7):
        return text(language, "side.week")
    return f"{day.year}-{day.month:02}"
