"""What the page shows of a file that belongs to the next message."""

from __future__ import annotations

import html
import re

from engine.chat import ENCODINGS

from ..shared.language import number, text
from .pictures import small
from .session import AttachedFile

SAMPLE_CHARS = 24


def describe(file: AttachedFile, index: int, language: str, problem: str = "") -> str:
    """Its name and size, as HTML; where the encoding was guessed, also a few words by which a person sees whether it is right."""
    attachment = file.attachment
    words = f"{attachment.name} · {text(language, 'usage.tokens', count=number(language, attachment.tokens))}{problem and f' — {problem}'}"
    sample = sample_of(attachment.text) if file.encoding else ""
    picture = small(attachment, "see-attached", index, language) if attachment.picture else ""
    return picture + html.escape(words) + (f" · <q>{html.escape(sample)}</q>" if sample else "")


def pages_button(file: AttachedFile, act: str, index: int, language: str) -> str:
    """For a PDF file: its pages can be attached as pictures instead of its text."""
    if not file.is_pdf:
        return ""
    return f'<button type="button" data-act="{act}" data-id="{index}">{html.escape(text(language, "attach.pages"))}</button>'


def sample_of(content: str) -> str:
    """From the first word with a letter beyond ASCII: the part that another encoding changes."""
    found = re.search(r"\S*[^\x00-\x7f]", content)
    words = " ".join(content[found.start():found.start() + 4 * SAMPLE_CHARS].split()) if found else ""
    return f"{words[:SAMPLE_CHARS]}…" if len(words) > SAMPLE_CHARS else words


def encodings(file: AttachedFile, act: str, index: int, language: str) -> str:
    """A list of encodings, where the file's was guessed; the chosen one is sent as the value of `act`."""
    if not file.encoding:
        return ""
    names = ENCODINGS if file.encoding in ENCODINGS else (*ENCODINGS, file.encoding)
    options = "".join(
        f'<option value="{name}"{" selected" if name == file.encoding else ""}>'
        f"{html.escape(text(language, f'encoding.{name}') if name in ENCODINGS else name)}</option>" for name in names)
    label = html.escape(text(language, "attach.encoding", name=file.attachment.name))
    return f'<select data-act="{act}" data-id="{index}" aria-label="{label}" title="{label}">{options}</select>'
