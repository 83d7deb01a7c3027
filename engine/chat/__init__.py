"""Conversations: replies that belong to their chat, attachments, import and export."""

from ..documents.files import is_pdf
from ..plain_text import ENCODINGS, clean_name
from ..storage.records import Attachment, Chat, ChatMessage, ChatSummary, SearchHit, Share, Source
from .attachments import MAX_FILE_BYTES, first_part, read_file, read_pages
from .question import Ask, Question, prompt_messages
from .reply_in_progress import ReplyProgress, Searching
from .retrieval import NOTHING_FOUND, FileSearch, mentioned, with_sources

__all__ = [
    "Ask", "Attachment", "Chat", "ChatMessage", "ChatSummary", "ENCODINGS", "FileSearch", "MAX_FILE_BYTES", "NOTHING_FOUND", "Question",
    "ReplyProgress", "SearchHit", "Searching", "Share", "Source", "clean_name", "first_part", "is_pdf", "mentioned", "prompt_messages",
    "read_file", "read_pages", "with_sources",
]
