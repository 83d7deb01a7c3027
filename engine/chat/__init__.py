"""Conversations: replies that belong to their chat, attachments, import and export."""

from ..documents.files import is_pdf
from ..plain_text import ENCODINGS, clean_name
from ..storage.records import Attachment, Chat, ChatMessage, ChatSummary, SearchHit, Share, Source
from ..storage.tool_steps import ToolStep
from .approvals import Approvals, Decision
from .attachments import MAX_FILE_BYTES, first_part, read_file, read_pages
from .meaning import MeaningFound
from .question import Ask, Question, prompt_messages
from .reply_in_progress import ReplyProgress, Searching
from .retrieval import NOTHING_FOUND, FileSearch, mentioned, with_sources
from .tool_history import reply_messages

__all__ = [
    "Approvals", "Ask", "Attachment", "Chat", "ChatMessage", "ChatSummary", "Decision", "ENCODINGS", "FileSearch", "MAX_FILE_BYTES",
    "MeaningFound", "NOTHING_FOUND", "Question", "ReplyProgress", "SearchHit", "Searching", "Share", "Source", "ToolStep", "clean_name",
    "first_part", "is_pdf", "mentioned", "prompt_messages", "read_file", "read_pages", "reply_messages", "with_sources",
]
