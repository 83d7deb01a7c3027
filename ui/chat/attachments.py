"""Files for the next message: the engine reads them and counts their tokens; too long ones wait for a decision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.chat import MAX_FILE_BYTES, Attachment, clean_name, is_pdf, read_file, read_pages
from engine.errors import AttachmentRefused, EngineBusy, InvalidRequest, NoModelLoaded, ScannedDocument
from engine.messages import MAX_PICTURES
from engine.pictures import Picture, is_picture, read_picture, to_base64

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.language import number, text
from .session import AttachedFile, ChatSession

CHARS_PER_TOKEN = 4         # an estimate, while no model is loaded whose tokenizer could count
MAX_FILES = 20


class PagesLeftOut(PageError):
    """Some pages are attached, others are not. Says which."""


def attach_files(context: Context, session: ChatSession, paths: Sequence[str]) -> None:
    """Attach uploaded files, which Gradio stored at `paths`. Of a scan the pages, as pictures.

    Raises AttachmentRefused and PagesLeftOut; files before the one that is at fault are attached.
    """
    for path in map(Path, paths):
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise AttachmentRefused(clean_name(path.name), f"it has {size / 1e6:.1f} MB", f"Attach at most {MAX_FILE_BYTES / 1e6:.0f} MB.")
        content = path.read_bytes()
        _require_room(session, clean_name(path.name))
        try:
            _add(context, session, _read(context, path.name, content))
        except ScannedDocument:
            if not context.engine.status().reads_pictures:
                raise
            attach_pages(context, session, clean_name(path.name), content)


def attach_pages(context: Context, session: ChatSession, name: str, content: bytes, instead_of: AttachedFile | None = None) -> None:
    """Attach the pages of a PDF file as pictures, as many as a message may have, in the place of a file of the session.

    Raises AttachmentRefused, and PagesLeftOut after the first pages are attached.
    """
    found, count = read_pages(name, content)
    others = [file for file in session.attachments if file is not instead_of]
    left = MAX_FILES - len(others) - len(session.too_long) - len(session.searched)
    room = min(MAX_PICTURES - sum(bool(file.attachment.picture) for file in others), left)
    pages = [AttachedFile(_seen(context, picture)) for picture in found[:max(0, room)]]
    if not pages:
        raise AttachmentRefused(name, text(context.language, "attach.no_room", count=MAX_PICTURES),
                                text(context.language, "attach.remove_one"))
    session.attachments = [*others, *pages]
    session.too_long = [file for file in session.too_long if file is not instead_of]
    if len(pages) < count:
        raise PagesLeftOut("attach.some_pages", shown=number(context.language, len(pages)), count=number(context.language, count))


def attach_text(context: Context, session: ChatSession, name: str, content: str) -> None:
    """Attach a text. If it is longer than half the context window, the visitor decides what to do with it."""
    if not content.strip():
        return
    _require_room(session, name)
    _add(context, session, AttachedFile(_counted(context, name, content)))


def choose_encoding(context: Context, session: ChatSession, files: list[AttachedFile], index: int, encoding: str) -> None:
    """Read one of `files`, which is a list of the session, in another encoding. Raises AttachmentRefused and InvalidRequest."""
    before = files[index]
    if before.content:
        read = _read(context, before.attachment.name, before.content, encoding)
        files.pop(index)
        _add(context, session, read, index)


def _read(context: Context, name: str, content: bytes, encoding: str = "") -> AttachedFile:
    if is_picture(content):
        return AttachedFile(_seen(context, read_picture(name, content)))
    found = read_file(name, content, encoding)
    has_pages = is_pdf(name, content) and context.engine.status().reads_pictures
    return AttachedFile(_counted(context, clean_name(name), found.text), found.guess, content if found.guess or has_pages else b"",
                        is_pdf=has_pages)


def _require_room(session: ChatSession, name: str) -> None:
    if len(session.attachments) + len(session.too_long) + len(session.searched) >= MAX_FILES:
        raise AttachmentRefused(name, f"there are {MAX_FILES} files already", "Remove one first.")


def _counted(context: Context, name: str, content: str) -> Attachment:
    try:
        return Attachment(name, content, context.engine.count_tokens(content))
    except (NoModelLoaded, EngineBusy):
        return Attachment(name, content, len(content) // CHARS_PER_TOKEN)


def _seen(context: Context, picture: Picture) -> Attachment:
    """Raises AttachmentRefused if the loaded model cannot read pictures, or if this one leaves no room in its context window."""
    try:
        tokens = context.engine.count_picture_tokens(picture)
    except InvalidRequest as error:
        raise AttachmentRefused(picture.name, text(context.language, "attach.no_pictures"),
                                text(context.language, "attach.other_model")) from error
    except (NoModelLoaded, EngineBusy):
        tokens = 0
    window = context.engine.status().window_tokens
    if window and tokens > window // 2:
        raise AttachmentRefused(picture.name, text(context.language, "attach.large_picture", tokens=number(context.language, tokens),
                                                   window=number(context.language, window)), text(context.language, "attach.smaller"))
    return Attachment(picture.name, "", tokens, to_base64(picture))


def _add(context: Context, session: ChatSession, file: AttachedFile, index: int = MAX_FILES) -> None:
    window = context.engine.status().window_tokens
    is_too_long = window and file.attachment.tokens > window // 2
    (session.too_long if is_too_long else session.attachments).insert(index, file)
