"""What the Chat tab shows for its session, one function for each part."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import GenerationOptions
from engine.errors import StorageError

from ..shared.context import Context
from ..shared.errors import sentence
from ..shared.files_menu import files_menu
from ..shared.html import browser_message
from ..shared.language import text
from . import rendering
from .adapters import composer_html
from .file_chips import describe, encodings, pages_button
from .files import in_use
from .options_panel import values_of
from .session import ChatSession
from .sidebar import LISTED, list_html, sign_html, space_html
from .tool_choice import tools_of
from .welcome import welcome_html


@dataclass(frozen=True)
class ChatParts:
    """The components that an update can change."""

    chatbot: gr.Chatbot
    problem: gr.HTML
    gauge: gr.HTML
    files: gr.HTML
    thinking: gr.HTML
    stop: gr.Button
    welcome: gr.HTML
    chats: gr.HTML
    head: gr.HTML
    chips: gr.HTML
    pair: gr.Row
    left: gr.Chatbot
    right: gr.Chatbot
    bus: gr.HTML
    system_prompt: gr.Textbox
    tools: gr.CheckboxGroup
    fields: tuple[gr.components.Component, ...]

    @property
    def all(self) -> list[gr.blocks.Block]:
        return [self.chatbot, self.problem, self.gauge, self.files, self.thinking, self.stop, self.welcome, self.chats, self.head,
                self.chips, self.pair, self.left, self.right, self.bus, self.system_prompt, self.tools, *self.fields]


@dataclass(frozen=True)
class Update:
    """One update of the page. A part that is None is left unchanged."""

    messages: list[dict[str, Any]] | None = None
    line: str | None = None             # new text of the message box; page.js sets it, since an output would undo what is typed meanwhile
    problem: str | None = None
    gauge: str | None = None
    files: str | None = None            # the menu of collections
    thinking: str | None = None
    is_writing: bool | None = None
    welcome: str | None = None
    chats: str | None = None
    head: str | None = None
    chips: str | None = None
    pair: tuple[list[dict[str, Any]], list[dict[str, Any]]] | None = None      # the two replies side by side; empty lists hide them
    to_browser: str | None = None             # a message to the browser (browser_message)
    system_prompt: str | None = None
    options: GenerationOptions | None = None
    tools: list[str] | None = None      # what the list of tools shows; it changes with the options only
    turn: int | None = None             # `following` of the session when the whole page was rendered

    def values(self, parts: ChatParts) -> dict[gr.blocks.Block, Any]:
        """Return the new value of each component that changes."""
        simple = {parts.chatbot: self.messages, parts.problem: self.problem, parts.gauge: self.gauge, parts.files: self.files,
                  parts.thinking: self.thinking, parts.welcome: self.welcome,
                  parts.chats: self.chats, parts.head: self.head, parts.chips: self.chips,
                  parts.bus: self.to_browser if self.line is None else browser_message("line", text=self.line),
                  parts.system_prompt: self.system_prompt}
        values: dict[gr.blocks.Block, Any] = {part: value for part, value in simple.items() if value is not None}
        if self.is_writing is not None:
            values[parts.stop] = gr.update(visible=self.is_writing)
        if self.pair is not None:
            left, right = self.pair
            values |= {parts.pair: gr.update(visible=bool(left)), parts.left: left, parts.right: right}
        if self.options is not None:
            values |= dict(zip(parts.fields, values_of(self.options), strict=True))
            values |= {} if self.tools is None else {parts.tools: self.tools}
        return values


def whole(context: Context, session: ChatSession, **changes: Any) -> Update:
    """An update of all parts, for a page that shows another chat."""
    turn, chat = session.following, session.chat
    status = context.engine.status()
    options = chat.options if chat and chat.options else None
    return Update(**{
        "messages": rendering.messages(session, context.language), "problem": "",
        "gauge": rendering.gauge(session, status.window_tokens, context.language), "is_writing": session.is_writing,
        "files": files_menu(context), "thinking": composer_html(status, session, context.language),
        "welcome": "" if session.path else welcome_html(status, context.language), "chats": chats(context, session),
        "turn": turn, "head": head(context, session), "chips": chips(context, session), "pair": pair(context, session),
        "system_prompt": chat.system_prompt if chat else "", "options": options, "tools": tools_of(context, chat), **changes})


def chats(context: Context, session: ChatSession) -> str:
    """The list of chats or the search results. If the database cannot be read, the reason is shown there."""
    conversations, settings = context.conversations, context.engine.settings
    below = sign_html(context.account, context.language) if settings.can_sign_in else ""
    below += space_html(settings.space, settings.space_host, context.language) if settings.space else ""
    try:
        if session.query.strip():
            return list_html(conversations.search(session.owner, session.query), session, context.language, context.zone,
                             can_compare=context.knowledge.embedder().is_usable) + below
        chats = conversations.list(session.owner, 1 + (session.list_size or LISTED))
        return list_html(chats, session, context.language, context.zone) + below
    except StorageError as error:
        return f'<div class="mc-problem" role="alert">{html.escape(sentence(error, context.language))}</div>'


def head(context: Context, session: ChatSession) -> str:
    """The line above the conversation. page.js reads the ids in it and puts them into the page's address."""
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


def chips(context: Context, session: ChatSession) -> str:
    """The tags above the message box: attached files, a queued message, an edit in progress, a deletion that can be undone."""
    def say(key: str, **values: object) -> str:
        return html.escape(text(context.language, key, **values))

    shown = []
    if session.undo:
        shown.append(_chip(say(f"undo.{session.undo[0]}"), _act("undo", 0, say("undo"))))
    if session.editing:
        shown.append(_chip(say("chat.editing"), _act("cancel-edit", 0, say("dialog.cancel"))))
    if session.chat and session.chat.queued:
        shown.append(_chip(say("chat.queued", text=session.chat.queued[:80]), _act("unqueue", 0, say("chat.unqueue"))))
    for collection in in_use(context, session):
        shown.append(_chip(say("files.chip", name=collection.name), _act("forget-files", collection.id, say("attach.remove"))))
    for index, file in enumerate(session.searched):
        words = describe(file, index, context.language, text(context.language, "files.searched"))
        shown.append(_chip(words, _act("drop-searched", index, say("attach.remove"))))
    for index, file in enumerate(session.attachments):
        shown.append(_chip(describe(file, index, context.language), encodings(file, "encoding", index, context.language),
                           pages_button(file, "pages", index, context.language),
                           _act("detach", index, say("attach.remove"))))
    for index, file in enumerate(session.too_long):
        shown.append(_chip(describe(file, index, context.language, text(context.language, "attach.too_long")),
                           encodings(file, "encoding-of-long", index, context.language),
                           pages_button(file, "pages-of-long", index, context.language),
                           _act("search-in", index, say("attach.search")), _act("first-part", index, say("attach.first_part")),
                           _act("drop", index, say("attach.remove")), kind="is-bad"))
    return f'<div class="mc-tags">{"".join(shown)}</div>' if shown else ""


def _chip(words: str, *parts: str, kind: str = "") -> str:
    return f'<div class="mc-tag {kind}"><span>{words}</span>{"".join(parts)}</div>'


def _act(name: str, target: object, words: str) -> str:
    return f'<button type="button" data-act="{name}" data-id="{target}">{words}</button>'


def pair(context: Context, session: ChatSession) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The two replies side by side, from their start until one is kept. Empty lists if there are not two."""
    replies = [reply for reply in session.replies if reply.message.id in session.pair]
    if len(replies) < 2:
        return [], []
    left, right = (rendering.single(reply, context.language) for reply in replies[:2])
    return left, right
