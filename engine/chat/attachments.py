"""Reads the text of attached files (engine/documents), and combines it with the message for the model."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence

from ..documents.files import FileText, read_text
from ..documents.process import ATTACHED, document_pages
from ..documents.sections import Refusal
from ..errors import AttachmentRefused
from ..pictures import Picture, from_base64, read_picture
from ..plain_text import clean_name
from ..storage.records import Attachment

MAX_FILE_BYTES = 10_000_000
MAX_WORD_CHARS = 40             # longer words (base64, Chinese, minified code) may be cut anywhere

_WORD = re.compile(rf"\S{{1,{MAX_WORD_CHARS}}}")


def read_attachment(name: str, content: bytes) -> str:
    """Return the text of a file, with "\\n" at line ends. Blocks up to a minute for PDF and Word files. Raises AttachmentRefused."""
    return read_file(name, content).text


def read_file(name: str, content: bytes, encoding: str = "") -> FileText:
    """As `read_attachment`. `encoding`: one of ENCODINGS that a person chose instead of the guess.

    Raises AttachmentRefused, and InvalidRequest for another encoding.
    """
    name = clean_name(name)
    if not content:
        raise AttachmentRefused(name, "it is empty", "Attach a file that has text.")
    if len(content) > MAX_FILE_BYTES:
        raise AttachmentRefused(name, f"it has {len(content):,} bytes", f"Attach at most {MAX_FILE_BYTES / 1e6:.0f} MB at once.")
    return read_text(name, content, ATTACHED, encoding)


def read_pages(name: str, content: bytes) -> tuple[list[Picture], int]:
    """The first pages of a PDF file as pictures, and how many pages it has. Blocks up to a minute. Raises AttachmentRefused."""
    name = clean_name(name)
    found = document_pages(content)
    if isinstance(found, Refusal):
        raise AttachmentRefused(name, found.why, found.remedy)
    return [read_picture(f"{name} ({number})", file) for number, file in enumerate(found.files, 1)], found.count


def pictures_of(attachments: Sequence[Attachment]) -> list[Picture]:
    return [from_base64(attachment.name, attachment.picture) for attachment in attachments if attachment.picture]


def compose(text: str, attachments: Sequence[Attachment]) -> str:
    """Return the text that the model reads: each file's name and its text in a fenced block, then the message.

    Without pictures, and without files that are searched instead.
    """
    blocks = []
    for attachment in attachments:
        if attachment.picture or attachment.collection:
            continue
        longest = max((len(run) for run in re.findall("`+", attachment.text)), default=0)
        fence = "`" * max(3, longest + 1)
        end = "" if attachment.text.endswith("\n") else "\n"
        blocks.append(f"File: {clean_name(attachment.name)}\n{fence}\n{attachment.text}{end}{fence}")
    return "\n\n".join([*blocks, text] if text or not blocks else blocks)


def first_part(text: str, max_tokens: int, count: Callable[[str], int]) -> str:
    """Return the longest beginning of at most `max_tokens` tokens, cut at the end of a word.

    Calls `count` about log2(max_tokens) times, on texts not much longer than the result, since most words have at least one token.
    """
    ends = [match.end() for match in _WORD.finditer(text)]
    above = max(1, max_tokens)
    while above < len(ends) and count(text[:ends[above - 1]]) <= max_tokens:
        above *= 2
    sizes = range(1, min(above, len(ends)) + 1)         # in words
    fitting = bisect_right(sizes, max_tokens, key=lambda size: count(text[:ends[size - 1]]))
    if fitting == len(ends) and count(text) <= max_tokens:
        return text
    return text[:ends[fitting - 1]] if fitting else ""
