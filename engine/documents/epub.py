"""EPUB books: the web pages of a ZIP archive, in the order of the book (https://www.w3.org/TR/epub-33/)."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote, urlsplit

from .archive import open_archive, read_member
from .sections import NOT_EPUB, PROTECTED, ReadingLimits, Refusal, Section
from .web_page import html_sections

CONTAINER, ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
PAGES = frozenset(("application/xhtml+xml", "text/html"))
# Ways to obscure fonts, which are no protection: https://www.w3.org/TR/epub-33/#sec-font-obfuscation
FONTS = frozenset(("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"))


def epub_sections(content: bytes, limits: ReadingLimits) -> list[Section] | Refusal:
    """A damaged file raises any exception of zipfile and lxml; a page that the book names and does not have is left out."""
    archive = open_archive(content, (".xml", ".opf", ".xhtml", ".html", ".htm", ".ncx"), NOT_EPUB)
    if isinstance(archive, Refusal):
        return archive
    known = frozenset(archive.namelist())
    container = read_member(archive, CONTAINER, known)
    if container is None:
        return NOT_EPUB
    rights = read_member(archive, ENCRYPTION, known)
    if rights is not None and not {each.get("Algorithm") for each in _all(_parsed(rights), "EncryptionMethod")} <= FONTS:
        return PROTECTED
    package = next((str(each.get("full-path")) for each in _all(_parsed(container), "rootfile") if each.get("full-path")), "")
    listed = read_member(archive, package, known)
    if listed is None:
        return NOT_EPUB
    sections: list[Section] = []
    left = limits.max_chars
    for name in _pages(_parsed(listed), posixpath.dirname(package)):
        page = read_member(archive, name, known)
        if page and left >= 0:
            found = html_sections(page, ReadingLimits(max_chars=left))
            left -= sum(len(section.text) for section in found)
            sections += found
    return sections


def _pages(package: Any, folder: str) -> list[str]:
    """The names of the pages in the order of the book, each once."""
    items = {each.get("id"): each for each in _all(package, "item")}
    found = [items[each.get("idref")] for each in _all(package, "itemref") if each.get("idref") in items]
    return [*dict.fromkeys(posixpath.normpath(posixpath.join(folder, unquote(urlsplit(each.get("href", "")).path)))
                           for each in found if each.get("media-type") in PAGES)]


def _parsed(content: bytes) -> Any:
    from lxml import etree

    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False))


def _all(root: Any, name: str) -> Any:
    return root.iter(f"{{*}}{name}")
