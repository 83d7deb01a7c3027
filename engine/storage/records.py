"""Chats and their messages as values; `chats.py` reads and writes them.

A chat is a tree: every message names its parent, and messages with the same parent are versions of each other.
`Chat.path` is the branch from the first message to the selected last one: the messages that the page shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..messages import GenerationOptions, Role, Usage
from .tool_steps import ToolStep

# In order: being generated; complete; stopped by a person; cut off by the end of the process; failed with an error.
MessageState = Literal["writing", "done", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file attached to a message. `text`: what the model reads of it; of a picture, `picture`: its file in base64 (pictures.py).

    `collection`: id of the temporary collection that holds its text, where that is longer than the window.
    """

    name: str
    text: str
    tokens: int = 0
    picture: str = ""
    collection: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A passage of a file that a model read for its reply. `name`: of the file; `collection`: the name of its collection.

    `document`: its id, 0 in copies for other people. `begin`, `end`: characters of the document's text. `page` and `row` from 1 on, 0
    where there are none.
    """

    number: int
    name: str
    text: str
    collection: str = ""
    document: int = 0
    begin: int = 0
    end: int = 0
    page: int = 0
    heading: str = ""
    row: int = 0

    def for_others(self) -> Source:
        """The passage without what leads to its file and collection."""
        return replace(self, collection="", document=0, begin=0, end=0)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`versions`: ids of all messages with the same parent, oldest first. Times in seconds; `created` since the epoch.

    For replies: `model`, `options`, `system_prompt`, `collections` (ids) and `tools` (entries of the list of tools) are those it was
    generated with, `reason` is why it ended, `sources` are the passages that the model read, `steps` the calls of tools in it.
    """

    role: Role
    text: str
    id: int = 0
    parent: int | None = None
    state: MessageState = "done"
    created: float = 0.0
    versions: tuple[int, ...] = ()
    thoughts: str = ""
    thought_s: float = 0.0
    thought_tokens: int = 0
    reason: str = ""
    error: str = ""
    usage: Usage | None = None
    notes: tuple[str, ...] = ()
    model: str = ""
    options: GenerationOptions | None = None
    system_prompt: str = ""
    attachments: tuple[Attachment, ...] = ()
    collections: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    tools: tuple[str, ...] = ()
    steps: tuple[ToolStep, ...] = ()

    def for_others(self) -> ChatMessage:
        """The message without what leads to the files of its owner."""
        return replace(self, collections=(), sources=tuple(source.for_others() for source in self.sources),
                       attachments=tuple(replace(each, collection="") for each in self.attachments),
                       steps=tuple(step.for_others() for step in self.steps))


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """An entry of the list of chats. `version` counts the changes of the chat."""

    id: str
    title: str
    created: float
    updated: float
    is_pinned: bool = False
    version: int = 0


@dataclass(frozen=True, slots=True)
class Chat:
    """`system_prompt` and `options`: those last used; `queued`: the message to be sent after the reply in progress."""

    summary: ChatSummary
    path: tuple[ChatMessage, ...] = ()
    system_prompt: str = ""
    options: GenerationOptions | None = None
    queued: str = ""

    @property
    def id(self) -> str:
        return self.summary.id

    @property
    def version(self) -> int:
        return self.summary.version

    @property
    def collections(self) -> tuple[str, ...]:
        """Ids of the collections that the latest reply was answered from."""
        return next((message.collections for message in reversed(self.path) if message.role == "assistant"), ())

    def message(self, message_id: int) -> ChatMessage | None:
        return next((message for message in self.path if message.id == message_id), None)


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chat that matches a search. `pieces`: the text around the match, as (text, whether it is a match)."""

    chat: ChatSummary
    message_id: int | None          # None: the title
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Share:
    """A read-only copy of a conversation, as it was when it was shared."""

    token: str
    chat_id: str
    title: str
    created: float
    path: tuple[ChatMessage, ...] = ()
