"""Web pages, books, Markdown: their text, and where pages and headings begin in it."""

import io
import threading
import zipfile

import docx
import pytest

from engine.documents import process
from engine.documents.files import FileText, Mark, read_document
from engine.documents.process import document_sections
from engine.documents.sections import TOO_SLOW, Headings, ReadingLimits, Refusal
from engine.errors import AttachmentRefused
from tests.engine.chat.test_attachments import TURKISH, pages, shown, with_document

LIMITS = ReadingLimits()
CONTAINER = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
CONTAINER += '<rootfile full-path="{}"/></rootfiles></container>'
PACKAGE = ('<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
           '<item id="a" href="a%20b.xhtml" media-type="application/xhtml+xml"/><item id="b" href="../b.xhtml" media-type="text/html"/>'
           '<item id="c" href="gone.xhtml" media-type="text/html"/><item id="d" href="x.css" media-type="text/css"/></manifest>'
           '<spine><itemref idref="b"/><itemref idref="a"/><itemref idref="a"/><itemref idref="c"/><itemref idref="d"/></spine></package>')
FIRST = ('<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>Kitap</title></head>'
         '<body><h1>Birinci bölüm</h1><p>Merhaba&nbsp;dünya</p></body></html>')
SECOND = "<html><body><p>第二章没有标题。</p></body></html>"


def book(**changes: str | bytes | None) -> bytes:
    """An EPUB file; `changes` replace or remove (None) members, __ in their names stands for /."""
    members: dict[str, str | bytes | None] = {
        "mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER.format("text/book.opf"), "text/book.opf": PACKAGE,
        "b.xhtml": FIRST, "text/a b.xhtml": SECOND, "text/x.css": "p {}"}
    members |= {name.replace("__", "/").replace("_", "."): content for name, content in changes.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return out.getvalue()


def sections(found: FileText) -> list[tuple[str, int, str]]:
    """The text of each mark, its page and its heading."""
    ends = [*(mark.begin for mark in found.marks[1:]), len(found.text)]
    return [(found.text[mark.begin:end].strip(), mark.page, mark.heading) for mark, end in zip(found.marks, ends, strict=True)]


def word_file() -> bytes:
    document, out = docx.Document(), io.BytesIO()
    document.add_paragraph("before")
    document.add_heading("One", 1)
    document.add_paragraph("first")
    document.add_heading("Below", 2)
    document.add_table(rows=1, cols=2).rows[0].cells[0].text = "cell"
    document.add_heading("Two", 1)
    document.save(out)
    return out.getvalue()


def test_a_web_page_is_what_a_reader_sees() -> None:
    page = """<!doctype html><html><head><title>My  page</title><style>p {}</style><script>evil()</script></head><body>
        <nav>Home</nav><h1>One <b>big</b>\n heading</h1><p>first   paragraph<br>second&nbsp;line &amp; more</p>
        <div hidden>not seen</div><p style="color: red; DISPLAY : none">nor this</p>tail<!-- nor this -->
        <pre>a\n  b</pre><ul><li>x<li>y</ul><h2>Below</h2><table><tr><td>a<td>b</tr><tr><td>c</table> end <script>no</script>after
        <img alt="a cat"><textarea>no</textarea></body></html>"""
    found = read_document("a.html", page.encode(), LIMITS)
    assert sections(found) == [
        ("Home", 0, "My page"),
        ("One big heading\n\nfirst paragraph\nsecond line & more\n\ntail\n\na\n  b\n\nx\ny", 0, "One big heading"),
        ("Below\n\na | b\nc\n\nend after a cat", 0, "One big heading › Below")]


@pytest.mark.parametrize(("content", "text"), [
    ('<meta charset="windows-1254"><p>Şu ağaç'.encode("cp1254"), "Şu ağaç"), ("<p>Şu ağaç".encode(), "Şu ağaç"),
    ("<p>今天".encode("utf-16"), "今天"), ('<?xml version="1.0" encoding="GBK"?><p>今天很好</p>'.encode("gbk"), "今天很好"),
    (b'<meta charset="no-such">' + TURKISH.encode("cp1254"), TURKISH.strip()), (b"<p>" * 5000 + b"deep", "deep"),
    (b"no markup", "no markup"),
    (b"<p>a&bogus;b&#0;c<p>d", "a&bogus;b\ufffdc\n\nd")], ids=range(8))
def test_broken_and_old_web_pages_are_read(content: bytes, text: str) -> None:
    assert read_document("a.htm", content, LIMITS).text == text


def test_a_book_is_read_in_its_order_without_what_is_missing() -> None:
    found = read_document("book.epub", book(), LIMITS)
    assert sections(found) == [("Birinci bölüm\n\nMerhaba dünya", 0, "Birinci bölüm"), ("第二章没有标题。", 0, "")]


@pytest.mark.parametrize(("content", "why"), [
    (b"no zip", "not an EPUB"), (book(**{"META-INF__container_xml": None}), "not an EPUB"),
    (book(**{"META-INF__container_xml": CONTAINER.format("../../etc/passwd")}), "not an EPUB"),
    (book(**{"META-INF__container_xml": "<a"}), "damaged"), (book(text__book_opf="<package"), "damaged"), (book()[:-200], "not an EPUB"),
    (book(b_xhtml=None, **{"text__a b_xhtml": None}), "no text"),
    (book(**{"META-INF__encryption_xml": '<e xmlns="x"><EncryptionMethod Algorithm="urn:drm"/></e>'}), "protected"),
    (book(b_xhtml=b"<p>" + bytes(31_000_000)), "unpacks to"), (book(big_bin=bytes(110_000_000)), "unpacks to"),
    (book(**{f"m{number}": "" for number in range(5000)}), "parts")], ids=range(11))
def test_a_damaged_or_malicious_book_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(AttachmentRefused, match=why):
        read_document("a.epub", content, LIMITS)


def test_entities_of_a_book_reach_no_file_and_do_not_multiply() -> None:
    bomb = '<!DOCTYPE p [<!ENTITY f SYSTEM "file:///etc/passwd">' + "".join(
        f'<!ENTITY e{number} "{f"&e{number - 1};" * 10 if number else "ha"}">' for number in range(9)) + "]>"
    page = bomb + "<html><body><p>&f;&e8; end</p></body></html>"
    found = read_document("a.epub", book(text__book_opf=bomb + PACKAGE, b_xhtml=page), LIMITS)
    assert "root:" not in found.text
    assert len(found.text) < 100


def test_headings_of_word_files_and_pages_of_pdf_files_are_known() -> None:
    assert sections(read_document("a.docx", word_file(), LIMITS)) == [
        ("before", 0, ""), ("One\nfirst", 0, "One"), ("Below\ncell |", 0, "One › Below"), ("Two", 0, "Two")]
    assert sections(read_document("a.pdf", pages(shown(b"Hello page"), 2), LIMITS)) == [("Hello page", 1, ""), ("Hello page", 2, "")]
    assert read_document("a.docx", with_document(b"<w:p><w:r><w:t>x</w:t></w:r></w:p>"), LIMITS).marks == (Mark(0),)


def test_headings_of_markdown_are_known() -> None:
    text = "# A #\ntext\n```sh\n# no\n~~~\n```\nSub\n---\n- item\n---\n### deep\n#hashtag\n    # code\n## [B](x)\nTop\n===\n"
    found = read_document("a.md", text.encode(), LIMITS)
    assert found.text == text
    assert [(text[mark.begin:].split("\n")[0], mark.heading) for mark in found.marks] == [
        ("# A #", "A"), ("Sub", "A › Sub"), ("### deep", "A › Sub › deep"), ("## [B](x)", "A › [B](x)"), ("Top", "Top")]
    assert read_document("a.txt", text.encode(), LIMITS).marks == ()


def test_a_path_of_headings_is_short_and_ends_with_the_nearest() -> None:
    headings = Headings("title")
    assert headings.path == "title"
    headings.enter(1, "x" * 300)
    assert headings.enter(2, "the nearest").endswith(" › the nearest")
    assert len(headings.path) == 200
    assert headings.enter(1, "") == "title"


def test_reading_ends_when_it_is_no_longer_wanted() -> None:
    stop = threading.Event()
    stop.set()
    assert document_sections("pdf", pages(shown(b"x")), ReadingLimits(), stop) == TOO_SLOW


def test_a_large_file_reaches_a_process_that_starts_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_S", 0.001)       # many looks before the process reads anything
    found = document_sections("html", b"word " * 200_000, ReadingLimits(timeout_s=30), threading.Event())
    assert not isinstance(found, Refusal)
    assert found[0].text.count("word") == 200_000
