"""Pictures in the page itself: no address from which others could read them. Small ones are buttons that show the large one."""

from __future__ import annotations

import base64
import html
import io
from functools import lru_cache

from engine.chat import Attachment
from engine.pictures import from_base64

from ..shared.html import browser_message
from ..shared.language import text

SIDE = 320          # pixels; shown at up to half of it, and sharp on dense screens
QUALITY = 80        # of JPEG


def small(attachment: Attachment, act: str, target: int, language: str, index: int = 0) -> str:
    """A button. `act`, `target`, `index`: what its click asks for."""
    label = html.escape(text(language, "picture.open", name=attachment.name))
    return (f'<button type="button" class="mc-picture" data-act="{act}" data-id="{target}" value="{index}" aria-label="{label}" '
            f'title="{html.escape(attachment.name)}"><img src="{_address(attachment.picture)}" alt=""></button>')


def large(attachment: Attachment) -> str:
    """The message with which page.js shows a picture large."""
    media_type = from_base64("", attachment.picture).media_type
    return browser_message("picture", name=attachment.name, source=f"data:{media_type};base64,{attachment.picture}")


@lru_cache(maxsize=256)     # 256 of about 15 KB
def _address(picture: str) -> str:
    image = from_base64("", picture).image()
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
