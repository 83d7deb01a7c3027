"""Pictures in imported chats: in base64 in our own exports, in data URLs in those of other programs. Each is decoded and checked anew."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import AttachmentRefused, InvalidRequest
from ..messages import MAX_PICTURES
from ..pictures import read_picture, to_base64
from ..plain_text import clean_name
from .records import Attachment

DATA, BASE64 = "data:image/", ";base64,"


def checked(attachments: Iterable[Attachment], name: str) -> tuple[Attachment, ...]:
    """Attachments of a message with this name in errors. Raises InvalidRequest for too many pictures, and for what is none."""
    found = tuple(_read(each.name, each.picture, each.tokens, name) if each.picture else replace(each, name=clean_name(each.name))
                  for each in attachments)
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


def _read(name: str, picture: str, tokens: int, message: str) -> Attachment:
    try:
        read = read_picture(name, base64.b64decode(picture, validate=True))
    except (ValueError, AttachmentRefused) as error:
        raise InvalidRequest(f"a picture of {message}", clean_name(name), "a picture that can be read") from error
    return Attachment(read.name, "", tokens, to_base64(read))
