"""What a page shows of its session, part by part. `Update.row` is in the order of the outputs in chat_tab.py."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import GenerationOptions
from engine.chat import Attachment, Progress
from engine.errors import StorageError

from ..shared.context import Context
from ..shared.errors import sentence
from ..shared.html import browser_message
from ..shared.language import number, text
from . import rendering
from .options_panel import values_of
from .session import Session
from .sidebar import LISTED, list_html, sign_html
from .welcome import welcome_html


@dataclass(frozen=True)
class Update:
    """One change of the page; None leaves a part as it is."""

    messages: list[dict[str, Any]] | None = None
    line: str | None = None             # a new text for the line one writes in: by mail, or a letter typed meanwhile would be lost
    problem: str | None = None
    gauge: str | None = None
    is_writing: bool | None = None
    welcome: str | None = None
    chats: str | None = None
    head: str | None = None
    chips: str | None = None
    pair: tuple[list[dict[str, Any]], list[dict[str, Any]]] | None = None      # empty lists: no longer side by side
    mail: str | None = None
    system_prompt: str | None = None
    options: GenerationOptions | None = None
    turn: int | None = None             # of the session, when the whole page was rendered

    def row(self) -> list[Any]:
        known = self.is_writing is not None
        left, right = self.pair or (None, None)
        letter = self.mail if self.line is None else browser_message("line", text=self.line)
        parts = [self.messages, self.problem, self.gauge, gr.update(visible=self.is_writing) if known else None,
                 self.welcome, self.chats, self.head, self.chips, None if self.pair is None else gr.update(visible=bool(left)),
                 left, right, letter, self.system_prompt]
        fields = [None] * 8 if self.options is None else values_of(self.options)
        return [gr.skip() if part is None else part for part in (*parts, *fields)]


def whole(context: Context, session: Session, **changes: Any) -> Update:
    """Everything, for a page that turned to something else."""
    turn, chat = session.following, session.chat
    status = context.engine.status()
    options = chat.options if chat and chat.options else None
    return Update(**{
        "messages": rendering.messages(session, context.language), "problem": "",
        "gauge": rendering.gauge(session, status.window_tokens, context.language), "is_writing": session.is_writing,
        "welcome": "" if session.path else welcome_html(status, context.language), "chats": chats(context, session),
        "turn": turn, "head": head(context, session), "chips": chips(context, session), "pair": pair(context, session),
        "system_prompt": chat.system_prompt if chat else "", "options": options, **changes})


def chats(context: Context, session: Session) -> str:
    """The list of chats, or what a search found. A database that cannot be read shows its reason there."""
    store = context.conversations.store
    sign = sign_html(context.account, context.language) if context.engine.settings.can_sign_in else ""
    try:
        if session.query.strip():
            return list_html(store.search(session.owner, session.query), session, context.language, context.zone) + sign
        return list_html(store.list(session.owner, 1 + (session.list_size or LISTED)), session, context.language, context.zone) + sign
    except StorageError as error:
        return f'<div class="mc-problem" role="alert">{html.escape(sentence(error, context.language))}</div>'


def head(context: Context, session: Session) -> str:
    """The line above the conversation; page.js keeps the address of the page in step with it."""
    def say(key: str, **values: object) -> str:
        return html.escape(text(context.language, key, **values))

    chat, share = session.chat, session.share
    where = f'data-chat="{chat.id if chat else ""}" data-share="{html.escape(share.token) if share else ""}"'
    drawer = f'<button type="button" class="mc-drawer" data-side aria-label="{say("side.open")}" title="{say("side.open")}">☰</button>'
    acts = ""
    if share:
        acts = f'<button type="button" class="mc-primary" data-act="copy-share" data-id="0">{say("share.continue")}</button>'
        title = f'{html.escape(share.title)}<span class="mc-badge">{say("share.read_only")}</span>'
    else:
        title = html.escape(chat.summary.title) if chat else ""
        if chat and session.path:
            share_it, *exports = (f'<button type="button" data-act="{act}" data-id="{chat.id}">{say(key)}</button>' for act, key in (
                ("share", "share.title"), ("export-md", "export.markdown"), ("export-json", "export.json")))
            name = say("export.title")
            acts = (f'{share_it}<details class="mc-menu"><summary aria-label="{name}" title="{name}">⋯</summary>'
                    f'<div>{"".join(exports)}</div></details>')
    return (f'<div class="mc-head" id="mc-place" {where}>{drawer}<h2>{title}</h2><span class="mc-acts mc-row">{acts}</span></div>')


def chips(context: Context, session: Session) -> str:
    """What hangs on the next message: files, a queued message, an edit in progress, something to undo."""
    def say(key: str, **values: object) -> str:
        return html.escape(text(context.language, key, **values))

    def chip(words: str, *acts: tuple[str, object, str], kind: str = "") -> str:
        buttons = "".join(f'<button type="button" data-act="{act}" data-id="{target}">{say(key)}</button>' for act, target, key in acts)
        return f'<div class="mc-tag {kind}"><span>{words}</span>{buttons}</div>'

    shown = []
    if session.undo:
        shown.append(chip(say(f"undo.{session.undo[0]}"), ("undo", 0, "undo")))
    if session.editing:
        shown.append(chip(say("chat.editing"), ("cancel-edit", 0, "dialog.cancel")))
    if session.chat and session.chat.queued:
        shown.append(chip(say("chat.queued", text=session.chat.queued[:80]), ("unqueue", 0, "chat.unqueue")))
    for index, each in enumerate(session.attachments):
        shown.append(chip(_file(each, context.language), ("detach", index, "attach.remove")))
    for index, each in enumerate(session.too_long):
        shown.append(chip(f"{_file(each, context.language)} — {say('attach.too_long')}", ("first-part", index, "attach.first_part"),
                          ("drop", index, "attach.remove"), kind="is-bad"))
    return f'<div class="mc-tags">{"".join(shown)}</div>' if shown else ""


def _file(each: Attachment, language: str) -> str:
    return html.escape(f"{each.name} · {text(language, 'usage.tokens', count=number(language, each.tokens))}")


def pair(context: Context, session: Session) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The two answers side by side, while both are being written and until one is kept."""
    looks: list[Progress] = [look for look in session.looks if look.message.id in session.pair]
    if len(looks) < 2:
        return [], []
    left, right = (rendering.single(look, context.language) for look in looks[:2])
    return left, right


