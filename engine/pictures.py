"""Pictures of messages: checked, turned upright, freed of what a camera writes beside the picture (its place, its owner)."""

from __future__ import annotations

import base64
import io
import struct
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from .errors import AttachmentRefused
from .plain_text import clean_name

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000     # before anything is decoded: 150 MB in memory
MAX_SIDE = 2048             # larger ones are made smaller; models read at most about this much
MAX_KEPT_BYTES = 1_400_000  # chats keep pictures in base64, as text of at most MAX_MESSAGE_CHARS
QUALITIES = (90, 75, 50, 20)    # of JPEG: the first with which it is small enough
# What damaged files make Pillow raise.
DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, OverflowError)
REMEDY = "Attach a PNG, JPEG, WebP or GIF picture."


@dataclass(frozen=True)
class Picture:
    """Its file in `content`, PNG or JPEG without metadata; width and height in pixels. Made by `read_picture`."""

    name: str
    content: bytes
    width: int
    height: int

    @cached_property
    def digest(self) -> str:
        return sha256(self.content).hexdigest()

    @property
    def media_type(self) -> str:
        return "image/png" if self.content.startswith(b"\x89PNG") else "image/jpeg"

    def image(self) -> Image:
        """RGB."""
        from PIL import Image

        return Image.open(io.BytesIO(self.content)).convert("RGB")


def to_base64(picture: Picture) -> str:
    return base64.b64encode(picture.content).decode("ascii")


def from_base64(name: str, text: str) -> Picture:
    """A picture that `to_base64` wrote, its file not decoded."""
    from PIL import Image

    content = base64.b64decode(text)
    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
        return Picture(name, content, opened.width, opened.height)


def is_picture(content: bytes) -> bool:
    """Whether a file begins as one of FORMATS."""
    return content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")) or (
        content[:4] == b"RIFF" and content[8:12] == b"WEBP")


def num_pixels(content: bytes) -> int:
    """As the file says, not decoded; 0 for what is no picture."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            return opened.width * opened.height
    except (*DAMAGED, Image.DecompressionBombError):
        return 0


def read_picture(name: str, content: bytes) -> Picture:
    """Check and convert a picture: the first one of a GIF, upright, on white, at most MAX_SIDE wide and high. Raises AttachmentRefused."""
    from PIL import Image, ImageOps

    name = clean_name(name)
    if len(content) > MAX_BYTES:
        raise AttachmentRefused(name, f"it has {len(content):,} bytes", f"Attach a picture of at most {MAX_BYTES / 1e6:.0f} MB.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise AttachmentRefused(name, f"it has {opened.width:,} x {opened.height:,} pixels",
                                        f"Attach a picture of at most {MAX_PIXELS / 1e6:.0f} million pixels.")
            is_photo = opened.format in ("JPEG", "WEBP")
            opened.draft("RGB", (MAX_SIDE, MAX_SIDE))       # of JPEG: decoded at a smaller size where that is enough
            image = _on_white(ImageOps.exif_transpose(opened))
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise AttachmentRefused(name, "it is damaged, or not a picture of a known kind", REMEDY) from error
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    kinds = [*([] if is_photo else [("PNG", 0)]), *(("JPEG", quality) for quality in QUALITIES)]
    file = next(found for kind in kinds if len(found := _file(image, *kind)) <= MAX_KEPT_BYTES or kind == kinds[-1])
    return Picture(name, file, image.width, image.height)


def _file(image: Image, kind: str, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, quality=quality)
    return file.getvalue()


def picture_of(pixels: Any, name: str = "picture.png") -> Picture:
    """Of an array of (height, width, 3) bytes."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Picture(name, file.getvalue(), pixels.shape[1], pixels.shape[0])


def _on_white(image: Image) -> Image:
    """RGB, without what is transparent, and without metadata."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA", "P") or "transparency" in image.info:
        image = image.convert("RGBA")
        below = Image.new("RGBA", image.size, "white")
        below.alpha_composite(image)
        image = below
    elif image.mode.startswith(("I", "F")):     # 16 bits: Pillow would cut instead of scaling
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    plain = Image.new("RGB", image.size)
    plain.paste(image.convert("RGB"))
    return plain
