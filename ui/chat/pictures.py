"""Small versions of pictures, in the page itself: no address from which others could read them."""

from __future__ import annotations

import base64
import html
import io
from functools import lru_cache

from engine.chat import Attachment
from engine.pictures import from_base64

SIDE = 320          # pixels; shown at up to half of it, and sharp on dense screens
QUALITY = 80        # of JPEG


def small(attachment: Attachment) -> str:
    """An <img>. Its alternative text is the file's name."""
    name = html.escape(attachment.name)
    return f'<img class="mc-picture" src="{_address(attachment.picture)}" alt="{name}" title="{name}">'


@lru_cache(maxsize=256)     # 256 of about 15 KB
def _address(picture: str) -> str:
    image = from_base64("", picture).image()
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
