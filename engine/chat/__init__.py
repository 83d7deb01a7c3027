"""Conversations: replies that belong to their chat, attachments, import and export."""

from ..documents.files import is_pdf
from ..plain_text import ENCODINGS, clean_name
from ..storage.records import Attachment, Chat, ChatMessage, ChatSummary, SearchHit, Share
from .attachments import MAX_FILE_BYTES, first_part, read_file, read_pages
from .question import Ask, Question, prompt_messages
from .reply_in_progress import ReplyProgress

__all__ = [
    "Ask", "Attachment", "Chat", "ChatMessage", "ChatSummary", "ENCODINGS", "MAX_FILE_BYTES", "Question", "ReplyProgress", "SearchHit",
    "Share", "clean_name", "first_part", "is_pdf", "prompt_messages", "read_file", "read_pages",
]
