"""One open page of the chat, without a browser: what its buttons do and what it would show."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from ui.chat import actions, opening, replies
from ui.chat.adapters import asked_adapter
from ui.chat.chat_click import ChatClick
from ui.chat.files import asked_collections
from ui.chat.options_panel import values_of
from ui.chat.rendering import messages
from ui.chat.replies import AskInput
from ui.chat.session import ChatSession
from ui.chat.thinking import asked_effort
from ui.chat.view import Update, whole
from ui.shared.context import Context


class ChatPage:
    def __init__(self, context: Context, owner: str = "ann") -> None:
        self.context = context
        self.session = ChatSession(owner=owner)
        self.last = Update()
        self.system_prompt = ""
        self.values: tuple[Any, ...] = ()       # of the options panel, if not the defaults

    @property
    def ask(self) -> AskInput:
        values = self.values or tuple(values_of(self.context.engine.default_options()))
        status = self.context.engine.status()
        return AskInput(self.system_prompt, values, effort=asked_effort(status, self.session.effort),
                        adapter=asked_adapter(status, self.session), collections=asked_collections(self.context, self.session))

    def send(self, text: str) -> Update:
        """Send a message and follow the reply to its end."""
        self.begin(text)
        return self.follow()

    def click(self, name: str, target: object = "", value: str = "") -> Update:
        """Click a button, and follow the reply that it began, if any, to its end."""
        self.press(name, target, value)
        return self.follow()

    def begin(self, text: str) -> Update:
        return self._show(replies.send(self.context, self.session, text, self.ask))

    def press(self, name: str, target: object = "", value: str = "") -> Update:
        return self._show(actions.perform(self.context, self.session, ChatClick(name, str(target), value, self.ask)))

    def import_chats(self, path: str) -> Update:
        return self._show(opening.import_chats(self.context, self.session, path))

    def search(self, query: str) -> str:
        self.session.query = query
        return self.parts.chats or ""

    def follow(self) -> Update:
        """Follow the reply that the last event began to its end; return what that event showed."""
        for _ in replies.follow_replies(self.context, self.session):
            pass
        replies.end(self.context, self.session)
        return self.last

    def _show(self, updates: Iterator[Update]) -> Update:
        self.last = list(updates)[-1]
        return self.last

    @property
    def parts(self) -> Update:
        """Everything that the page shows now."""
        return whole(self.context, self.session)

    @property
    def conversation(self) -> str:
        """The HTML of the messages, versions and buttons included."""
        return str(messages(self.session, self.context.language))

    @property
    def texts(self) -> list[str]:
        return [message.text.strip() for message in self.session.path]

    @property
    def ids(self) -> list[int]:
        return [message.id for message in self.session.path]

    @property
    def chat_id(self) -> str:
        assert self.session.chat
        return self.session.chat.id

    @property
    def listed(self) -> list[str]:
        """Titles of the chats in the list."""
        return [title for title, _ in self.list_items]

    @property
    def list_items(self) -> list[tuple[str, str]]:
        found = re.findall(r'data-act="open" data-id="(\w+)"[^>]*>(.*?)</button>', self.parts.chats or "", re.S)
        return [(plain(title), chat_id) for chat_id, title in found]

    def to_browser(self) -> dict[str, Any]:
        """The message to page.js in the last update."""
        found = re.search(r'data-message="([^"]*)"', self.last.to_browser or "")
        assert found, self.last
        message: dict[str, Any] = json.loads(html.unescape(found[1]))
        return message


def plain(markup: str | None) -> str:
    """The text of HTML without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", markup or "")).strip()

