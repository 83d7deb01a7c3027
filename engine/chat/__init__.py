"""Conversations: replies that belong to their chat, attachments, import and export."""

from ..plain_text import ENCODINGS, clean_name
from ..storage.records import Attachment, Chat, ChatMessage, ChatSummary, SearchHit, Share
from ..storage.tool_steps import ToolStep
from .approvals import Approvals, Decision
from .attachments import MAX_FILE_BYTES, first_part, is_pdf, read_file, read_pages
from .question import Ask, Question, prompt_messages
from .reply_in_progress import ReplyProgress
from .tool_history import reply_messages

__all__ = [
    "Approvals", "Ask", "Attachment", "Chat", "ChatMessage", "ChatSummary", "Decision", "ENCODINGS", "MAX_FILE_BYTES", "Question",
    "ReplyProgress", "SearchHit", "Share", "ToolStep", "clean_name", "first_part", "is_pdf", "prompt_messages", "read_file", "read_pages",
    "reply_messages",
]
