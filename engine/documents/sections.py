"""What a document is read into, and why one is not read. The child process sends these to the app."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TEXT_CHARS = 1_000_000
MAX_PDF_PAGES = 1000
MAX_UNPACKED_BYTES = 100_000_000
MAX_MEMBERS = 5_000             # of a ZIP archive: python-docx searches the list of all parts for each of them
MAX_HEADING_CHARS = 200
PATH = " › "        # between a heading and the one below it


@dataclass(frozen=True, slots=True)
class Section:
    """A page of a PDF file, or a heading and what follows it. `heading`: with those above it. `page`: from 1 on, or 0."""

    text: str
    page: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """`why` completes "cannot be attached: ..."; `remedy` is a sentence."""

    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Of one file. `max_chars`: reading ends shortly after them. `is_background`: nobody waits for it, so it does not delay others."""

    max_chars: int = MAX_TEXT_CHARS
    max_pages: int = MAX_PDF_PAGES
    timeout_s: float = 60.0
    is_background: bool = False


SAVE_AGAIN = "Open it where it was made, save it again and attach that."
ENCRYPTED = Refusal("it is encrypted", "Print it to a new PDF without a password and attach that.")
SCANNED = Refusal("it has no text, only pictures of pages (a scan)", "Run text recognition (OCR) on it first.")
NOT_WORD_FILE = Refusal("it is not a Word file, or it has a password", "Save it as .docx without a password.")
NOT_EPUB = Refusal("it is not an EPUB file", "Save it as .epub, .pdf or .txt.")
PROTECTED = Refusal("it is protected against copying (DRM)", "Attach a copy without protection.")
TOO_SLOW = Refusal("reading it took too long", "Attach fewer pages, or copy its text into a .txt file.")
BROKE_READER = Refusal("reading it took too much memory, or it is damaged", SAVE_AGAIN)


class Headings:
    """The headings above a place of a document: each replaces those of its own level and below."""

    def __init__(self, title: str = "") -> None:
        self._title = title
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, heading: str) -> str:
        """The path of the heading that begins here. `level`: 1 for the highest."""
        self._open = [(above, text) for above, text in self._open if above < level]
        if heading := " ".join(heading.split()):
            self._open.append((level, heading[:MAX_HEADING_CHARS]))
        return self.path

    @property
    def path(self) -> str:
        """The last MAX_HEADING_CHARS characters of it, since the nearest heading is the one that matters most."""
        return PATH.join(text for _, text in self._open)[-MAX_HEADING_CHARS:] or self._title[:MAX_HEADING_CHARS]
