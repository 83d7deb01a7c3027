"""Files for the next message: the engine reads them and counts their tokens; too long ones wait for a decision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.chat import MAX_FILE_BYTES, Attachment, clean_name, read_attachment
from engine.errors import AttachmentRefused, EngineBusy, NoModelLoaded

from ..shared.context import Context
from .session import ChatSession

CHARS_PER_TOKEN = 4         # an estimate, while no model is loaded whose tokenizer could count
MAX_FILES = 20


def attach_files(context: Context, session: ChatSession, paths: Sequence[str]) -> None:
    """Attach uploaded files, which Gradio stored at `paths`. Raises AttachmentRefused; files before the refused one are attached."""
    for path in map(Path, paths):
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise AttachmentRefused(clean_name(path.name), f"it has {size / 1e6:.1f} MB", f"Attach at most {MAX_FILE_BYTES / 1e6:.0f} MB.")
        attach_text(context, session, clean_name(path.name), read_attachment(path.name, path.read_bytes()))


def attach_text(context: Context, session: ChatSession, name: str, content: str) -> None:
    """Attach a text. If it is longer than half the context window, the visitor decides what to do with it."""
    if not content.strip():
        return
    if len(session.attachments) + len(session.too_long) >= MAX_FILES:
        raise AttachmentRefused(name, f"there are {MAX_FILES} files already", "Remove one first.")
    window = context.engine.status().window_tokens
    try:
        tokens = context.engine.count_tokens(content)
    except (NoModelLoaded, EngineBusy):
        tokens = len(content) // CHARS_PER_TOKEN
    is_too_long = window and tokens > window // 2
    (session.too_long if is_too_long else session.attachments).append(Attachment(name, content, tokens))
