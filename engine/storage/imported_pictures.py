"""Pictures in imported chats: in base64 in our own exports, in data URLs in those of other programs. Each is decoded and checked anew.

A small file can unpack to many pixels, so the pictures of a file have a limit together: those beyond it are not decoded, and left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from ..errors import AttachmentRefused, InvalidRequest
from ..messages import MAX_PICTURES
from ..pictures import num_pixels, read_picture, to_base64
from ..plain_text import clean_name
from .records import Attachment

MAX_IMPORTED = 200                  # pictures of a file
MAX_IMPORTED_PIXELS = 500_000_000   # as many as 10 of the largest pictures that can be attached
DATA, BASE64 = "data:image/", ";base64,"


@dataclass(slots=True)
class PictureLimit:
    """What is left of the limit of a file, and how many of its pictures are left out."""

    pictures: int
    pixels: int
    left_out: int = 0

    def allows(self, content: bytes) -> bool:
        pixels = num_pixels(content)
        if self.pictures < 1 or pixels > self.pixels:
            self.left_out += 1
            return False
        self.pictures, self.pixels = self.pictures - 1, self.pixels - pixels
        return True


_limit: ContextVar[PictureLimit | None] = ContextVar("limit", default=None)


@contextmanager
def picture_limit() -> Iterator[PictureLimit]:
    """One limit for all pictures that are read in the block."""
    limit = PictureLimit(MAX_IMPORTED, MAX_IMPORTED_PIXELS)
    token = _limit.set(limit)
    try:
        yield limit
    finally:
        _limit.reset(token)


def checked(attachments: Iterable[Attachment], name: str) -> tuple[Attachment, ...]:
    """Attachments of a message with this name in errors. Raises InvalidRequest for too many pictures, and for what is none."""
    read = (_read(each.name, each.picture, each.tokens, name) if each.picture else replace(each, name=clean_name(each.name))
            for each in attachments)
    found = tuple(each for each in read if each is not None)
    _require_few(found, name)
    return found


def pictures_in(parts: object, name: str, *, is_strict: bool = True) -> tuple[Attachment, ...]:
    """The pictures among parts of a message (OpenAI: image_url) or its files (Open WebUI) that are in the file itself.

    Raises InvalidRequest; if not `is_strict`, what cannot be read, and what is too much, is left out.
    """
    urls = filter(None, [_url(part) for part in parts if isinstance(part, dict)] if isinstance(parts, list) else [])
    found: list[Attachment] = []
    for number, url in enumerate(urls, 1):
        kind, _, picture = url.removeprefix(DATA).partition(BASE64)
        try:
            found += checked([Attachment(f"{number}.{kind}", "", 0, picture)], name)
        except InvalidRequest:
            if is_strict:
                raise
    if is_strict:
        _require_few(found, name)
    return tuple(found[:MAX_PICTURES])


def is_picture_part(part: object) -> bool:
    return isinstance(part, dict) and bool(_url(part))


def _require_few(attachments: Sequence[Attachment], name: str) -> None:
    if (count := sum(bool(each.picture) for each in attachments)) > MAX_PICTURES:
        raise InvalidRequest(f"pictures of {name}", count, f"at most {MAX_PICTURES}")


def _url(part: dict[str, object]) -> str:
    """The data URL of a picture, or ""."""
    if part.get("type") not in ("image", "image_url"):
        return ""
    inner = part.get("image_url")
    url = inner.get("url") if isinstance(inner, dict) else inner or part.get("url")
    return url if isinstance(url, str) and url.startswith(DATA) and BASE64 in url[:64] else ""


def _read(name: str, picture: str, tokens: int, message: str) -> Attachment | None:
    """None if it is beyond the limit. Raises InvalidRequest."""
    limit = _limit.get()
    try:
        content = base64.b64decode(picture, validate=True)
        if limit is not None and not limit.allows(content):
            return None
        read = read_picture(name, content)
    except (ValueError, AttachmentRefused) as error:
        raise InvalidRequest(f"a picture of {message}", clean_name(name), "a picture that can be read") from error
    return Attachment(read.name, "", tokens, to_base64(read))
