"""State of one page's Chat tab. Kept in gr.State, never shared between pages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from engine.chat import Attachment, Chat, ChatMessage, MeaningFound, ReplyProgress, Share
from engine.messages import Effort


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file for the next message. `content`: kept only where it can be read in another way.

    `encoding`: only where it was guessed, so that another can be chosen. `is_pdf`: its pages can become pictures.
    """

    attachment: Attachment
    encoding: str = ""
    content: bytes = b""
    is_pdf: bool = False


@dataclass(frozen=True, slots=True)
class MeaningSearch:
    """A search of chats by meaning. `found`: None while it runs; `problem`: why it failed."""

    query: str
    found: MeaningFound | None = None
    problem: Exception | None = None


@dataclass
class ChatSession:
    """`chat`: the chat as this page last saw it, None for the empty page. `replies`: snapshots of its replies in progress.

    `following` is counted up whenever the page shows another chat, so that a handler that follows the earlier one notices and ends.
    """

    owner: str = ""
    chat: Chat | None = None
    share: Share | None = None
    replies: tuple[ReplyProgress, ...] = ()
    following: int = 0
    is_following: bool = False
    must_follow: bool = False                           # a reply has started, and the next event must follow it
    must_end: bool = False                              # it has ended, and the next event must show the end
    editing: int | None = None                          # the message whose new version is being written
    pair: tuple[int, ...] = ()                          # versions shown side by side, until one is kept
    attachments: list[AttachedFile] = field(default_factory=list)
    too_long: list[AttachedFile] = field(default_factory=list)     # waiting for a decision
    searched: list[AttachedFile] = field(default_factory=list)     # longer than the window, to be searched instead of read
    collections: tuple[str, ...] = ()                   # ids of those that the chat is answered from
    undo: tuple[str, str, int] | None = None            # what can be restored: (kind, chat id, message id)
    num_older: int = 0                                  # older messages shown beyond the usual number
    list_size: int = 0
    query: str = ""
    by_meaning: MeaningSearch | None = None             # the last search by meaning
    effort: Effort | None = None                        # of thought, as the visitor chose it, or as the chat was used last
    adapter: str = ""                                   # the value of the list of adapters, "" until one is chosen (adapters.py)
    adopted: list[Any] | None = None                    # the defaults of a model that were last put into the options

    @property
    def path(self) -> tuple[ChatMessage, ...]:
        """The messages to show. Those in progress have their current text."""
        if self.share:
            return self.share.path
        if self.chat is None:
            return ()
        live = {reply.message.id: reply.message for reply in self.replies}
        return tuple(replace(live[message.id], versions=message.versions) if message.id in live else message
                     for message in self.chat.path)

    @property
    def is_writing(self) -> bool:
        return any(not reply.is_over for reply in self.replies)

    def show_chat(self, chat: Chat | None, share: Share | None = None) -> None:
        """Show another chat or a shared one, or the same chat after a change; None for the empty page."""
        is_same = self.chat is not None and chat is not None and chat.id == self.chat.id
        self.chat, self.share = chat, share
        self.replies = ()
        self.following += 1
        self.editing, self.pair = None, ()
        if not is_same:
            self.attachments, self.too_long, self.searched, self.num_older, self.undo = [], [], [], 0, None
            self.collections = chat.collections if chat else ()
            used = chat.options.adapter if chat and chat.options else None
            self.adapter = "" if used is None else f"alone {used}"
            self.effort = chat.options.reasoning_effort if chat and chat.options else self.effort
