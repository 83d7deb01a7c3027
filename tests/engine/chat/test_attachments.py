import io
import zipfile
import zlib
from collections.abc import Callable

import docx
import pytest
from docx.oxml import OxmlElement

from engine.chat.attachments import MAX_FILE_BYTES, compose, first_part, read_attachment, read_file, read_pages
from engine.documents.process import document_pages, document_sections
from engine.documents.sections import MAX_PDF_PAGES, MAX_TEXT_CHARS, TOO_SLOW, ReadingLimits
from engine.errors import AttachmentRefused, InvalidRequest, ScannedDocument
from engine.plain_text import clean_name
from engine.storage.records import Attachment

TURKISH = "Şu ağacın gölgesinde öğle uykusuna yatan çocuğun düşü ışıl ışıldı. İĞNE, ÖĞRENCİ, ÇÖP, GÜZEL.\n"
CHINESE = "今天天气很好，我们一起去公园散步吧。模型可以在本地运行。\n"
TRADITIONAL = "今天的天氣很好，我們一起去公園散步。\n"
JAPANESE = "今日はとても良い天気ですね。公園へ散歩に行きましょう。\n"
KOREAN = "오늘 날씨가 아주 좋습니다. 공원으로 산책하러 갑시다.\n"
RUSSIAN = "Привет, как дела? Это простой текст на русском языке.\n"


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF file with these objects, of which the first is the catalog."""
    out, offsets = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return (out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF"
            % (len(objects) + 1, table, len(objects) + 1, trailer, len(out)))


def pages(content: bytes, num_pages: int = 1, trailer: bytes = b"", options: bytes = b"") -> bytes:
    kids = b" ".join([b"3 0 R"] * num_pages)
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count %d/Kids[%s]>>" % (num_pages, kids),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(content), options, content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", trailer=trailer)


def shown(text: bytes) -> bytes:
    return b"BT /F 12 Tf 10 10 Td (%s) Tj ET" % text


def encrypted_by_pypdf() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer, out = PdfWriter(PdfReader(io.BytesIO(pages(shown(b"secret"))))), io.BytesIO()
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()


AES = (b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 5/R 6/Length 256/P -4/CF<</StdCF<</CFM/AESV3/Length 32>>>>/StmF/StdCF/StrF/StdCF"
       b"/O<%s>/U<%s>/OE<%s>/UE<%s>/Perms<%s>>>" % (b"00" * 48, b"00" * 48, b"00" * 32, b"00" * 32, b"00" * 16))


def word_file() -> bytes:
    document, out = docx.Document(), io.BytesIO()
    document.add_paragraph("before the table")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("city", "people", "Ankara", "5.8 million"), strict=True):
        cell.text = text
    document.add_paragraph("after it\tand a tab")
    document.save(out)
    return out.getvalue()


def with_document(body: bytes) -> bytes:
    """A Word file whose body is replaced by this one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(word_file())) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) if name != "word/document.xml" else
                         b'<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><w:document xmlns:w="http://schemas.openxmlformats.org/'
                         b'wordprocessingml/2006/main"><w:body>%s</w:body></w:document>' % body)
    return out.getvalue()


def unrelated_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "x")
    return out.getvalue()


def bomb() -> bytes:
    return pages(zlib.compress(bytes(100_000_000), 9), options=b"/Filter/FlateDecode")


def long_word_file(text: bytes, times: int) -> Callable[[], bytes]:
    return lambda: with_document(b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>" % (text * times))


def identified(value: object) -> str:
    """A test id that is the same in every process: the quotes in the repr of a file's bytes depend on random bytes of a library."""
    return value[:8].hex() if isinstance(value, bytes) else "large" if callable(value) else str(value)[:20]


@pytest.mark.parametrize(("name", "content", "text"), [
    ("a.md", b"# Title\r\nline\rend", "# Title\nline\nend"),
    ("a.csv", b"city,people\nAnkara,5.8\n", "city,people\nAnkara,5.8\n"),
    ("a.txt", b"\xef\xbb\xbfwith a mark", "with a mark"),
    ("a.txt", CHINESE.encode("utf-16"), CHINESE),
    ("a.txt", "\ufeffbig".encode("utf-16-be"), "big"),
    ("a.txt", "\ufeffwide".encode("utf-32-le"), "wide"),
    ("a.txt", TURKISH.encode(), TURKISH),
    ("a.txt", TURKISH.encode("cp1254"), TURKISH),
    ("a.txt", "déjà vu à la carte, garçon".encode("cp1252"), "déjà vu à la carte, garçon"),
    ("a.csv", CHINESE.encode("gb18030"), CHINESE),
    ("a.txt", CHINESE.encode("utf-16-le"), CHINESE),
    ("a.txt", TRADITIONAL.encode("big5"), TRADITIONAL),
    ("a.txt", JAPANESE.encode("shift_jis"), JAPANESE),
    ("a.txt", KOREAN.encode("euc_kr"), KOREAN),
    ("a.txt", RUSSIAN.encode("cp1251"), RUSSIAN),
    ("a.txt", TURKISH.encode() + b"\xc3", TURKISH + "\ufffd"),
    ("a.unheard-of", TURKISH.encode() + b"\xff" + TURKISH.encode(), TURKISH + "\ufffd" + TURKISH),
    ("Makefile", "all: ş\n".encode(), "all: ş\n"),
    ("a.unheard-of", b"plain", "plain"),
    ("a.log", b"\x1b[31mred\x1b[0m " * 9, "\x1b[31mred\x1b[0m " * 9),
    ("a.PDF", pages(shown(b"Hello page"), 2), "Hello page\n\nHello page"),
    ("pdf by its content", pages(shown(b"Hello page")), "Hello page"),
    ("a.docx", word_file(), "before the table\ncity | people\nAnkara | 5.8 million\n\nafter it\tand a tab"),
], ids=identified)
def test_text_is_read(name: str, content: bytes, text: str) -> None:
    assert read_attachment(name, content) == text


@pytest.mark.parametrize(("content", "guess"), [
    (TURKISH.encode("cp1254"), "cp1254"), (CHINESE.encode("gb18030"), "gb18030"), (CHINESE.encode("utf-16-le"), "utf-16-le"),
    (TURKISH.encode(), ""), (TURKISH.encode() + b"\xc3", ""), (b"plain", ""), (TURKISH.encode("utf-8-sig"), ""),
    (("\ufeff" + TURKISH).encode("utf-16-le"), ""), (("\ufeff" + TURKISH).encode("utf-32-be"), "")], ids=identified)
def test_an_encoding_is_named_where_it_was_guessed(content: bytes, guess: str) -> None:
    assert read_file("a.txt", content).guess == guess


@pytest.mark.parametrize(("encoding", "text"), [
    ("cp1254", "Şu ağaç"), ("cp1252", "Þu aðaç"), ("utf-8", "\ufffdu a\ufffda\ufffd"), ("gb18030", "辵 a餫\ufffd")])
def test_a_chosen_encoding_is_used_instead_of_the_guess(encoding: str, text: str) -> None:
    found = read_file("a.txt", "Şu ağaç".encode("cp1254"), encoding)
    assert (found.text, found.guess) == (text, encoding)


@pytest.mark.parametrize("encoding", ["rot13", "idna", "no such"])
def test_an_encoding_that_is_not_offered_is_refused(encoding: str) -> None:
    with pytest.raises(InvalidRequest, match="encoding"):
        read_file("a.txt", b"text", encoding)


@pytest.mark.parametrize(("name", "content", "why"), [
    ("a.txt", b"", "it is empty"),
    ("a.txt", b" \n\t", "it has no text"),
    ("a.txt", b"a" * (MAX_FILE_BYTES + 1), "10,000,001 bytes"),
    ("a.txt", b"a" * (MAX_TEXT_CHARS + 1), "more than 1,000,000 characters"),
    ("a.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not text"),
    ("a.txt", b"\x00\x01\x02" * 99, "not text"),
    ("a.txt", b"\x01\x02\x03 looks like ascii", "not text"),
    ("a.txt", b"\xff\xfe\x00", "not text"),
    ("a.unheard-of", TURKISH.encode("cp1254"), "unknown encoding"),
    ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "not text"),
    ("a.pdf", encrypted_by_pypdf(), "it is encrypted"),
    ("a.pdf", pages(shown(b"x"), trailer=AES), "it is encrypted"),
    ("a.pdf", pages(b"0 0 9 9 re f"), "only pictures"),
    ("a.pdf", pages(shown(b"x"), MAX_PDF_PAGES + 1), "1,001 pages"),
    ("a.pdf", b"%PDF-1.7\n" + bytes(999), "damaged"),
    ("a.pdf", b"no pdf at all", "damaged"),
    ("a.pdf", pages(shown(b"x") + b"[" * 99_999), "damaged"),
    ("a.pdf", bomb, "damaged"),
    ("a.pdf", pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[2 0 R]>>"), "damaged"),
    ("a.docx", b"no zip", "not a Word file"),
    ("a.docx", unrelated_zip(), "damaged"),
    ("a.docx", with_document(b"<w:p>"), "damaged"),
    ("a.docx", with_document(b"<w:tbl>" * 999 + b"</w:tbl>" * 999), "damaged"),
    ("a.docx", long_word_file(b"a", 110_000_000), "unpacks to 111 MB"),
    ("a.docx", long_word_file(b"ab ", 500_000), "more than 1,000,000 characters"),
    ("a.docx", with_document(b"<w:p/>"), "it has no text"),
], ids=identified)
def test_files_that_are_not_text_are_refused(name: str, content: bytes | Callable[[], bytes], why: str) -> None:
    """Large files are made by the test itself, not for every process that collects the tests."""
    content = content() if callable(content) else content
    with pytest.raises(AttachmentRefused, match=why) as refused:
        read_attachment("folder/" + name, content)
    assert refused.value.name == name
    assert refused.value.remedy.endswith(".")


def test_reading_ends_at_its_deadline() -> None:
    at_once = ReadingLimits(timeout_s=0.01)
    assert document_sections("pdf", pages(shown(b"x")), at_once) == TOO_SLOW
    assert document_pages(pages(shown(b"x")), at_once) == TOO_SLOW


def test_the_first_pages_of_a_pdf_become_pictures() -> None:
    found, count = read_pages("scan.pdf", pages(b"0 0 49 99 re f", 20))
    assert (len(found), count) == (8, 20)
    assert [(page.name, page.width, page.height) for page in found[:2]] == [("scan.pdf (1)", 1536, 1536), ("scan.pdf (2)", 1536, 1536)]
    assert [found[0].image().getpixel((x, 700)) for x in (100, 1400)] == [(0, 0, 0), (255, 255, 255)]     # its left half is painted


@pytest.mark.parametrize(("box", "size"), [(b"0 0 1 14400", (1, 1536)), (b"0 0 9999999 9999999", (1536, 1536)), (b"0 0 0 0", (1187, 1536))],
                         ids=["thin", "vast", "empty"])
def test_a_page_of_any_size_is_drawn_within_limits(box: bytes, size: tuple[int, int]) -> None:
    found, _ = read_pages("a.pdf", pages(shown(b"x")).replace(b"0 0 99 99", box))
    assert (found[0].width, found[0].height) == size


@pytest.mark.parametrize(("content", "why"), [
    (encrypted_by_pypdf(), "it is encrypted"), (b"%PDF-1.7\n" + bytes(999), "damaged"), (b"no pdf at all", "damaged"),
    (pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[2 0 R]>>"), "damaged")],
    ids=["encrypted", "zeros", "text", "endless"])
def test_a_pdf_whose_pages_cannot_be_drawn_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(AttachmentRefused, match=why):
        read_pages("a.pdf", content)


def test_a_scan_is_told_from_other_files_without_text() -> None:
    with pytest.raises(ScannedDocument):
        read_attachment("a.pdf", pages(b"0 0 9 9 re f"))


def test_word_files_cannot_reach_other_files_or_claim_endless_cells() -> None:
    cell = b'<w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr><w:p><w:r><w:t>seen &f;</w:t></w:r></w:p></w:tc>'
    assert read_attachment("a.docx", with_document(b"<w:tbl><w:tr>%s</w:tr></w:tbl>" % cell)) == "seen"


def test_filled_in_fields_are_read_and_deleted_text_is_not() -> None:
    document, out = docx.Document(), io.BytesIO()
    paragraph = document.add_paragraph("kept ")
    for tag, text in (("w:sdt", "field"), ("w:del", "gone")):
        wrapper = OxmlElement(tag)
        wrapper.append(paragraph.add_run(text)._element)
        paragraph._element.append(wrapper)
    document.save(out)
    assert read_attachment("a.docx", out.getvalue()) == "kept field"


@pytest.mark.parametrize(("name", "clean"), [
    ("../../etc/passwd", "passwd"), ("C:\\Users\\me\\a b.txt", "a b.txt"), ("a\nb\x00\u202etxt.exe", "abtxt.exe"), ("folder/", "folder"),
    ("", "file"), ("..", "file"), ("\x00", "file"), ("özgeçmiş 简历.pdf", "özgeçmiş 简历.pdf"), ("x" * 500 + ".docx", "x" * 115 + ".docx"),
])
def test_a_name_is_one_short_line_without_folders(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_the_model_reads_files_before_the_message() -> None:
    read = compose("Compare them.", [Attachment("a.txt", "one\n"), Attachment("b.md", "```py\nx\n```")])
    assert read == "File: a.txt\n```\none\n```\n\nFile: b.md\n````\n```py\nx\n```\n````\n\nCompare them."


def test_a_message_without_files_is_not_changed() -> None:
    assert compose("hi\n", []) == "hi\n"
    assert compose("", []) == ""


def counted(calls: list[int], tokens: Callable[[str], int]) -> Callable[[str], int]:
    def count(text: str) -> int:
        calls.append(len(text))
        return tokens(text)

    return count


@pytest.mark.parametrize("max_tokens", [1, 2, 7, 999, 5000])
def test_the_first_part_is_the_longest_that_fits_and_ends_at_a_word(max_tokens: int) -> None:
    text, calls = "\n".join(["two words"] * 10_000), []
    part = first_part(text, max_tokens, counted(calls, lambda part: len(part.split())))
    assert len(part.split()) == max_tokens
    assert text.startswith(part)
    assert part.endswith(("two", "words"))
    assert len(calls) <= 18
    assert max(calls) <= 11 * max_tokens


def test_a_text_that_fits_is_left_whole() -> None:
    assert first_part(" one two \n", 2, lambda part: len(part.split())) == " one two \n"
    assert first_part("", 5, len) == ""


def test_zero_tokens_leave_no_text() -> None:
    assert first_part("one two", 0, len) == ""


def test_text_without_spaces_is_cut_too() -> None:
    assert 950 <= len(first_part("汉" * 100_000, 1000, len)) <= 1000
    assert 3900 <= len(first_part("a" * 100_000, 1000, lambda part: len(part) // 4)) <= 4003
