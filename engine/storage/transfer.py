"""Exports chats as Markdown for people or as JSON, and imports our JSON and the formats of `formats.py`.

Only the selected branch of the tree of versions is exported, which is what the page shows. Ids are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..errors import InvalidRequest
from .chat_rows import MAX_TITLE_CHARS
from .formats import LAST_TIME, Value, read_path, read_title
from .imported_pictures import picture_limit
from .message_json import message_dict
from .records import Chat, ChatMessage, Source
from .tool_steps import ToolStep

FORMAT, VERSION = "mindcubes-chats", 1
MAX_IMPORT_CHARS = 50_000_000
MAX_CHATS = 10_000
MAX_TITLE_WORDS_CHARS = 60
MAX_TITLE_SEARCH_CHARS = 5_000
UNTITLED = "Imported chat"

_LINE_MARKS = re.compile(r"^[\s>#]*(?:[-*+]\s+|\d{1,3}[.)]\s+)?(?:\[[ xX]\]\s+)?")      # quote, heading, list, task
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_EMPHASIS = re.compile(r"(?<![\w*`~])[*`~]++(?=\S)|(?<=[^\s*`~])[*`~]++(?!\w)")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ImportedChat:
    title: str
    path: tuple[ChatMessage, ...]


def to_markdown(chat: Chat) -> str:
    parts = [f"# {chat.summary.title}"]
    for message in chat.path:
        heading = [message.role.capitalize(), message.model, _date(message.created)]
        parts.append("## " + " · ".join(filter(None, heading)))
        if message.attachments:
            parts.append("Attached: " + ", ".join(f"`{attachment.name.replace('`', '')}`" for attachment in message.attachments))
        if message.thoughts:
            parts.append(f"<details>\n<summary>Thoughts</summary>\n\n{_closed(message.thoughts.strip())}\n\n</details>")
        parts += [_step(step.for_others()) for step in message.steps]
        if message.text.strip():
            parts.append(_closed(message.text.strip()))
        if message.sources:
            parts.append("\n".join(f"[{source.number}] {_place(source)}" for source in message.sources))
    return "\n\n".join(parts) + "\n"


def _step(step: ToolStep) -> str:
    """A call of a tool, folded, in fences that its texts cannot close."""
    runs = [len(run) for run in re.findall("`+", f"{step.arguments} {step.result}")]
    fence = "`" * max(3, 1 + max(runs, default=0))
    result = f"\n\n{fence}\n{step.result.strip()}\n{fence}" if step.result.strip() else ""
    name = re.sub(r"[^\w.-]", "", step.name)
    return f"<details>\n<summary>{name}: {step.state}</summary>\n\n{fence}json\n{step.arguments}\n{fence}{result}\n\n</details>"


def to_json(chats: Sequence[Chat]) -> str:
    """Return JSON that `read_chats` reads back with the same messages, except for their ids."""
    written = [{"title": chat.summary.title, "created": chat.summary.created, "system_prompt": chat.system_prompt,
                "messages": [message_dict(replace(message.for_others(), id=0, parent=None)) for message in chat.path]} for chat in chats]
    return json.dumps({"format": FORMAT, "version": VERSION, "chats": written}, ensure_ascii=False, indent=1)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """`skipped`: why a chat of the file could not be read, one sentence each. `left_out`: pictures beyond the limit of a file."""

    chats: tuple[ImportedChat, ...]
    skipped: tuple[str, ...] = ()
    left_out: int = 0


def read_chats(text: str) -> tuple[ImportedChat, ...]:
    """Return the chats of a file, as `read_file` reads them."""
    return read_file(text).chats


def read_file(text: str) -> ReadFile:
    """Return the chats of a file that have messages; at least one. A chat that cannot be read does not affect the others.

    Raises InvalidRequest, which names the problem, if there is no such chat.
    """
    if len(text) > MAX_IMPORT_CHARS:
        raise InvalidRequest("the import", f"{len(text):,} characters", f"at most {MAX_IMPORT_CHARS:,} characters")
    values, is_own = _chats(_parsed(text.removeprefix("\ufeff")))
    if len(values) > MAX_CHATS:
        raise InvalidRequest("the import", f"{len(values):,} chats", f"at most {MAX_CHATS:,} chats")
    chats: list[ImportedChat] = []
    refused: list[InvalidRequest] = []
    with picture_limit() as limit:
        for number, value in enumerate(values, 1):
            chat = Value(value, f"chat {number}")
            try:
                path = read_path(chat, is_own=is_own)
                if path:
                    chats.append(ImportedChat(_title(read_title(chat), path), path))
            except InvalidRequest as error:
                refused.append(error)
    if not chats:
        raise refused[0] if refused else InvalidRequest("the import", "empty", "at least one chat with a message")
    return ReadFile(tuple(chats), tuple(map(str, refused)), limit.left_out)


def title_of(text: str) -> str:
    """Return the beginning of a message as a title, without Markdown marks, at most MAX_TITLE_WORDS_CHARS; empty for a blank message.

    It is taken from the first line with words, otherwise from the first line that is not blank.
    """
    lines = [plain for plain in _plain_lines(text.strip()[:MAX_TITLE_SEARCH_CHARS]) if plain]
    line = next((plain for plain in lines if re.search(r"\w", plain)), lines[0] if lines else "")
    if len(line) <= MAX_TITLE_WORDS_CHARS:
        return line
    words = line[:MAX_TITLE_WORDS_CHARS + 1].rpartition(" ")[0]
    # A very long last word, or a script without spaces, is cut anywhere.
    return (words if len(words) > MAX_TITLE_WORDS_CHARS // 2 else line[:MAX_TITLE_WORDS_CHARS]).rstrip(" ,;:-–—(")


def _title(given: str, path: Sequence[ChatMessage]) -> str:
    asked = next((message for message in path if message.role == "user"), path[0])
    return given[:MAX_TITLE_CHARS].strip() or title_of(asked.text) or UNTITLED


def _plain_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not _FENCE.match(line):
            unlinked = _LINK.sub(r"\1", _LINE_MARKS.sub("", line))
            yield " ".join(_EMPHASIS.sub("", unlinked).split())


def _place(source: Source) -> str:
    """Where a passage is: "`guide.pdf`, page 3"."""
    where = [f"page {source.page}" if source.page else "", f"row {source.row}" if source.row else "", " ".join(source.heading.split())]
    return ", ".join([f"`{source.name.replace('`', '')}`", *filter(None, where)])


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if 0 < seconds < LAST_TIME else ""


def _closed(text: str) -> str:
    """Return `text` with its last code block closed if that was cut off; otherwise the rest of the file would be part of the block."""
    opened = ""
    for fence, info in _FENCE.findall(text):
        if not opened:
            opened = fence
        elif fence.startswith(opened) and not info.strip():
            opened = ""
    return f"{text}\n{opened}" if opened else text


def _chats(parsed: Any) -> tuple[list[Any], bool]:
    """Return the unparsed chats of a file, and whether MindCubes wrote it."""
    match parsed:
        case {"format": "mindcubes-chats"}:
            file = Value(parsed, "the import")
            if file.get("version").value != VERSION:
                raise file.get("version").wrong(f"{VERSION}: a newer MindCubes may have made this file")
            return [chat.value for chat in file.get("chats").items("chat")], True
        case list():
            return parsed, False
        case dict():
            return [parsed], False
    raise Value(parsed, "the import").wrong("a JSON object or list")


def _parsed(text: str) -> Any:
    """Return the JSON value of a file, or the list of the values on its lines. Raises InvalidRequest."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:
        return _json(text, 1)
    except InvalidRequest:
        if len(lines) < 2 or not _is_json(lines[0][1]):
            raise
    return [_json(line, number) for number, line in lines[:MAX_CHATS + 1]]      # one too many: the caller refuses them


def _is_json(text: str) -> bool:
    try:
        _json(text, 1)
    except InvalidRequest:
        return False
    return True


def _json(text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        around = text[max(0, error.pos - 20):error.pos + 20]
        raise InvalidRequest(f"line {line + error.lineno - 1} of the import", around, "JSON") from error
    except (ValueError, RecursionError) as error:       # a number of thousands of digits, thousands of brackets
        raise InvalidRequest(f"the import at line {line}", text[:60], "JSON without such large numbers or deep nesting") from error
