"""Text that any file, database or page accepts: file names on one line, no lone surrogates."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

MAX_NAME_CHARS = 120
HIDDEN = {"Cc", "Cf", "Cs"}         # Unicode categories: control, format (invisible, right-to-left), half of a surrogate pair


def clean_name(name: str) -> str:
    """A file name fit to be shown: one line, no folders, no control or direction marks, at most MAX_NAME_CHARS."""
    last = re.split(r"[/\\]", name.rstrip("/\\ "))[-1]
    plain = " ".join("".join(char for char in last if unicodedata.category(char) not in HIDDEN).split())
    if not plain.strip("."):
        return "file"
    if len(plain) > MAX_NAME_CHARS:
        suffix = PurePosixPath(plain).suffix[:MAX_NAME_CHARS // 4]
        plain = plain[:MAX_NAME_CHARS - len(suffix)].rstrip() + suffix
    return plain


def valid_text(text: str) -> str:
    """`text` with lone surrogates, which neither the database nor UTF-8 can hold, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
