"""ZIP archives that hold a document (Word, EPUB): what they unpack to is known before anything is unpacked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection

from .sections import MAX_MEMBERS, MAX_UNPACKED_BYTES, Refusal

MAX_XML_BYTES = 30_000_000      # libxml2 needs up to 20 times as much for tiny elements


def open_archive(content: bytes, xml: tuple[str, ...], otherwise: Refusal) -> zipfile.ZipFile | Refusal:
    """`xml`: how the names of members end that are parsed. `otherwise`: the refusal of what is no archive."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return otherwise
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = archive.infolist()
    num_bytes = sum(member.file_size for member in members)
    xml_bytes = max((member.file_size for member in members if member.filename.lower().endswith(xml)), default=0)
    if num_bytes > MAX_UNPACKED_BYTES or xml_bytes > MAX_XML_BYTES or len(members) > MAX_MEMBERS:
        return Refusal(f"it unpacks to {num_bytes / 1e6:,.0f} MB in {len(members):,} parts",
                       "Split it, or save it without its pictures, or as .txt.")
    return archive


def read_member(archive: zipfile.ZipFile, name: str, known: Collection[str]) -> bytes | None:
    """The bytes of a member, at most as many as its entry says; None if there is none of this name. Raises any exception of zipfile."""
    if name not in known:
        return None
    with archive.open(name) as member:
        return member.read(archive.getinfo(name).file_size)
