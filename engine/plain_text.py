"""Makes text acceptable to every file, database and page: file names on one line, no lone surrogates, bytes decoded from any encoding."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import PurePosixPath

MAX_NAME_CHARS = 120
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",     # 32 before 16: they begin alike
        codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Encodings of old systems. cp1254 is Turkish, and Western European but for six letters of Icelandic.
OLD_ENCODINGS = ["gb18030", "big5", "shift_jis", "euc_kr", "cp1251", "cp1254", "utf_16_le", "utf_16_be"]
# What a person can choose where the guess is wrong.
ENCODINGS = ("utf-8", "cp1254", "cp1252", "cp1250", "cp1251", "cp1253", "cp1256", "gb18030", "big5", "shift_jis", "euc_kr", "utf-16-le",
             "utf-16-be")
GOOD_TO_BAD = 10            # in damaged UTF-8: valid characters beyond ASCII per invalid place; text in other encodings has almost none
SAMPLE_BYTES = 200_000      # enough to detect an encoding
REPLACEMENT = "\ufffd"
HIDDEN = {"Cc", "Cf", "Cs"}         # Unicode categories: control, format (invisible, right-to-left), half of a surrogate pair


def clean_name(name: str) -> str:
    """Return a file name that can be shown: one line, no folders, no control or direction marks, at most MAX_NAME_CHARS."""
    last = re.split(r"[/\\]", name.rstrip("/\\ "))[-1]
    plain = " ".join("".join(char for char in last if unicodedata.category(char) not in HIDDEN).split())
    if not plain.strip("."):
        return "file"
    if len(plain) > MAX_NAME_CHARS:
        suffix = PurePosixPath(plain).suffix[:MAX_NAME_CHARS // 4]
        plain = plain[:MAX_NAME_CHARS - len(suffix)].rstrip() + suffix
    return plain


def valid_text(text: str) -> str:
    """Return `text` with lone surrogates replaced, which neither the database nor UTF-8 can represent."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decode(content: bytes, *, is_text: bool = True) -> tuple[str, str]:
    """Return the text of a file and its encoding: by its byte order mark, else UTF-8, even if damaged, else (`is_text`) the likeliest.

    Raises UnicodeDecodeError if it is none of them.
    """
    for bom, encoding in BOMS.items():
        if content.startswith(bom):
            return content.decode(encoding), encoding
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        text = content.decode("utf-8", "replace")
        bad = text.count(REPLACEMENT)
        if sum(char > "\x7f" for char in text) - bad >= GOOD_TO_BAD * bad:
            return text, "utf-8"
        encoding = _likeliest(content) if is_text else ""
        if not encoding:
            raise
        try:
            return content.decode(encoding, "replace"), codecs.lookup(encoding).name
        except LookupError:
            raise error from None


def _likeliest(content: bytes) -> str:
    from charset_normalizer import from_bytes

    found = from_bytes(content[:SAMPLE_BYTES & ~1], cp_isolation=OLD_ENCODINGS).best()
    if found is not None:
        return str(found.encoding)
    return "" if b"\0" in content else "cp1254"
