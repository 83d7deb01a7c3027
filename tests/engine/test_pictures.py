"""Files of pictures: what is read of them, and what is refused. No model."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from engine.errors import AttachmentRefused
from engine.pictures import MAX_BYTES, MAX_KEPT_BYTES, MAX_SIDE, from_base64, is_picture, read_picture, to_base64


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    return image


def is_near(pixel: object, color: tuple[int, int, int]) -> bool:
    return isinstance(pixel, tuple) and all(abs(a - b) < 30 for a, b in zip(pixel, color, strict=True))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be so large."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_of_the_known_kinds_are_read(kind: str) -> None:
    content = file_of(halves(), kind)
    picture = read_picture(f"a.{kind.lower()}", content)
    assert is_picture(content)
    assert (picture.width, picture.height) == (40, 20)
    assert is_near(picture.image().getpixel((5, 10)), (255, 0, 0))
    assert is_near(picture.image().getpixel((35, 10)), (0, 0, 255))
    assert from_base64(picture.name, to_base64(picture)) == picture


def test_a_photo_is_turned_upright_and_loses_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6                                        # turned by a quarter
    exif[0x010F] = "CameraMaker"
    exif.get_ifd(0x8825)[2] = (41.0, 0.0, 28.0)             # latitude
    content = file_of(halves(), "JPEG", exif=exif, quality=95)
    assert b"CameraMaker" in content
    picture = read_picture("photo.jpg", content)
    assert (picture.width, picture.height) == (20, 40)
    assert is_near(picture.image().getpixel((10, 5)), (255, 0, 0))
    assert b"CameraMaker" not in picture.content
    with Image.open(io.BytesIO(picture.content)) as opened:
        assert not opened.getexif()


def test_the_first_picture_of_an_animation_is_read() -> None:
    content = file_of(halves(), "GIF", save_all=True, append_images=[Image.new("RGB", (40, 20), "green")])
    assert is_near(read_picture("a.gif", content).image().getpixel((5, 10)), (255, 0, 0))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L", "I;16", "CMYK"])
def test_every_mode_becomes_rgb_and_transparent_becomes_white(mode: str) -> None:
    white = {"RGBA": (0, 0, 0, 0), "LA": (0, 0), "I;16": 65535, "CMYK": (0, 0, 0, 0)}
    content = file_of(Image.new(mode, (8, 8), white.get(mode, "white")), "JPEG" if mode == "CMYK" else "PNG")
    assert is_near(read_picture("a.png", content).image().getpixel((4, 4)), (255, 255, 255))


def test_a_large_picture_is_made_smaller() -> None:
    picture = read_picture("a.png", file_of(halves((3 * MAX_SIDE, 600))))
    assert (picture.width, picture.height) == (MAX_SIDE, 200)


def test_what_a_chat_keeps_is_limited() -> None:
    picture = read_picture("noise.png", file_of(Image.effect_noise((MAX_SIDE, MAX_SIDE), 200).convert("RGB")))
    assert len(picture.content) <= MAX_KEPT_BYTES
    assert (picture.width, picture.height) == (MAX_SIDE, MAX_SIDE)


ODD = {
    "empty": b"", "not a picture": b"hello", "only a signature": b"\x89PNG\r\n\x1a\n", "cut": file_of(halves((400, 400)), "PNG")[:200],
    "cut photo": file_of(Image.effect_noise((400, 400), 90), "JPEG")[:700], "bomb": bomb(60_000, 60_000), "no width": bomb(0, 5),
    "few bytes for many pixels": bomb(5000, 5000), "a vector picture": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a page": b"GIF89a<script>alert(1)</script>", "another kind": file_of(halves(), "TIFF"), "a bitmap": file_of(halves(), "BMP"),
    "random after a signature": b"\xff\xd8\xff" + bytes(range(256)) * 4, "too many bytes": b"\x89PNG\r\n\x1a\n" + bytes(MAX_BYTES),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_odd_files_are_refused_with_their_name(content: bytes) -> None:
    with pytest.raises(AttachmentRefused, match=r"odd\.png cannot be attached"):
        read_picture("odd.png", content)
