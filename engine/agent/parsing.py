"""Finds the program in a reply: its fenced Python block.

Of several Python blocks the last complete one is taken, because a model that corrects itself does so further down. A block
without a language is taken only if no block is tagged as Python and it looks like a program; blocks in other languages are
prose. Never runs anything, never raises.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from .events import joined

PYTHON = frozenset({"python", "py", "python3", "py3", "ipython"})
OPENING = re.compile(r"^(?P<lead>[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n]*)$")
# An untagged block needs such a line to be taken as a program: sample output rarely has one.
STATEMENT = re.compile(
    r"^\s*(import \w|from \w[\w.]* import |def \w+\(|class \w+|for .+ in .+:|while .+:|if .+:|with .+:|try:|print\()", re.MULTILINE)
# Results of earlier programs begin like this in the prompt; a model that writes it invents a result.
IMITATED = re.compile(r"^It (?:printed|failed):[ \t]*$", re.MULTILINE)
CLOSE_THOUGHT = re.compile(r"</(?:think|thinking|reasoning)>")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """One fenced block. `start` and `end`: character positions in the reply, fences included."""

    language: str
    code: str
    start: int
    end: int
    is_closed: bool


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """`code`: None if there is no program. `is_open`: its fence was never closed."""

    text: str
    prose: str
    code: str | None
    is_open: bool = False

    @property
    def is_cut_off(self) -> bool:
        """Whether the program is incomplete: no closing fence, and what there is does not compile."""
        return self.is_open and not compiles(self.code or "")


def parse(text: str) -> ParsedReply:
    """Split a reply into its program and the prose around it."""
    text = without_thoughts(text.replace("\r\n", "\n").replace("\r", "\n"))
    found = list(blocks(text))
    block = _program(found)
    if block is None:
        return ParsedReply(text, text.strip(), None)
    after = IMITATED.split(text[block.end:])[0]
    return ParsedReply(text, joined(text[: block.start], after), block.code, not block.is_closed)


def blocks(text: str) -> Iterator[CodeBlock]:
    """Every fenced block in order; the last may be open. Expects Unix newlines."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    at = 0
    while at < len(lines):
        opening = OPENING.match(lines[at].rstrip("\n"))
        if opening is None or ("`" in opening["info"] and opening["fence"][0] == "`"):
            at += 1
            continue
        closing = _closing(lines, at, opening["fence"])
        end = len(lines) if closing is None else closing
        code = _dedented(lines[at + 1: end], len(opening["lead"].expandtabs(4)))
        last = min(end, len(lines) - 1)
        info = opening["info"].strip().lower()
        yield CodeBlock(re.split(r"[\s{},:]", info.lstrip("{."))[0], code, starts[at], starts[last + 1], closing is not None)
        at = end + 1


def _closing(lines: list[str], opened: int, fence: str) -> int | None:
    """The line of the fence that closes a block: the first candidate, or a later one if the program compiles only up to there.

    (A program may contain fences itself, in a string that it prints.)
    """
    pattern = re.compile(rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$")
    candidates = [at for at in range(opened + 1, len(lines)) if pattern.match(lines[at].rstrip("\n"))]
    if len(candidates) < 2 or '"""' not in "".join(lines[opened: candidates[0]]).replace("'''", '"""'):
        return candidates[0] if candidates else None
    return next((at for at in candidates if compiles(_dedented(lines[opened + 1: at], 0))), candidates[0])


def _dedented(lines: list[str], indent: int) -> str:
    cut = [line[min(indent, len(line) - len(line.lstrip(" \t"))):] if line.strip() else "\n" for line in lines]
    return textwrap.dedent("".join(cut)).strip("\n")


def _program(found: list[CodeBlock]) -> CodeBlock | None:
    tagged = [block for block in found if block.language in PYTHON and block.code.strip()]
    plain = [block for block in found if not block.language and STATEMENT.search(block.code)]
    usable = tagged or plain
    return next((block for block in reversed(usable) if block.is_closed), usable[-1] if usable else None)


def without_thoughts(text: str) -> str:
    """The reply without reasoning that the engine could not split off because the prompt had opened it."""
    end = CLOSE_THOUGHT.search(text)
    if end is None or re.search(r"<(?:think|thinking|reasoning)>", text[: end.start()]) is not None:
        return text
    return text[end.end():].lstrip()


def resumed(begun: str, rest: str) -> str:
    """A cut reply joined with its continuation, also if the model restarted its block or the whole reply instead of continuing."""
    again = parse(rest)
    if again.code is not None and not again.is_open and not compiles(parse(begun + rest).code or ""):
        head = parse(begun).code or ""
        if not compiles(again.code) and compiles(f"{head}\n{again.code}"):
            return f"```python\n{head}\n{again.code}\n```"
        return rest
    return begun + rest


def compiles(code: str) -> bool:
    return _tree(code) is not None and bool(code.strip())


def normalised(code: str) -> str:
    """Equal for programs that differ only in comments, blank lines and spacing."""
    tree = _tree(code)
    return re.sub(r"\s+", " ", code).strip() if tree is None else ast.unparse(tree)


def _tree(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):     # what the compiler raises for text that is not a program
        return None
