"""Conversations: replies that belong to their chat, attachments, import and export."""

from ..storage.records import Attachment, Chat, ChatMessage, ChatSummary, SearchHit, Share
from ..storage.transfer import read_chats
from ..storage.transfer import to_json as export_json
from ..storage.transfer import to_markdown as export_markdown
from .attachments import MAX_FILE_BYTES, clean_name, first_part, read_attachment
from .conversations import Ask, Question, prompt_messages
from .live_reply import Progress

__all__ = [
    "Ask",
    "Attachment",
    "Chat",
    "ChatMessage",
    "ChatSummary",
    "MAX_FILE_BYTES",
    "Progress",
    "Question",
    "SearchHit",
    "Share",
    "clean_name",
    "export_json",
    "export_markdown",
    "first_part",
    "prompt_messages",
    "read_attachment",
    "read_chats",
]
