"""Finds the program in a reply: its fenced Python block.

Of several Python blocks the last complete one is taken, because a model that corrects itself does so further down, together with
the earlier ones that define what it uses. A block without a language is taken only if no block is tagged as Python and it looks
like a program; blocks in other languages are prose. Never runs anything, never raises.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from .events import joined

PYTHON = frozenset({"python", "py", "python3", "py3", "ipython"})
OPENING = re.compile(r"^(?P<lead>[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n]*)$")
# After other text in a line, only with a language: three backticks in the middle of a line are usually quoted, not a fence.
OPENING_BEHIND_WORDS = re.compile(
    r"^(?P<words>[^`\n]*\S[^`\n]*?)(?P<fence>`{3,})[ \t]*(?P<info>(?:python|py|ipython)[23]?)[ \t]*$", re.IGNORECASE)
# An untagged block needs such a line to be taken as a program: sample output rarely has one.
STATEMENT = re.compile(
    r"^\s*(import \w|from \w[\w.]* import |def \w+\(|class \w+|for .+ in .+:|while .+:|if .+:|with .+:|try:|print\()", re.MULTILINE)
# Results of earlier programs begin like this in the prompt; if a model writes it, it invents a result.
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
    used = [*_definitions(block, found[:found.index(block)]), block]
    starts, ends = [each.start for each in used], [each.end for each in used]
    between = [text[end:start] for end, start in zip([0, *ends], starts, strict=False)]
    prose = joined(*between, IMITATED.split(text[block.end:])[0])
    return ParsedReply(text, prose, "\n\n".join(each.code for each in used), not block.is_closed)


def blocks(text: str) -> Iterator[CodeBlock]:
    """Every fenced block in order; the last may be open. Expects Unix newlines."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    at = 0
    while at < len(lines):
        opening = _opening(lines[at].rstrip("\n"))
        if opening is None:
            at += 1
            continue
        closing = _closing(lines, at, opening["fence"])
        end, last_code = (len(lines), "") if closing is None else closing
        lead = opening["lead"] if "lead" in opening.re.groupindex else ""
        code = _dedented([*lines[at + 1: end], *([last_code] if last_code else [])], len(lead.expandtabs(4)))
        last = min(end, len(lines) - 1)
        info = opening["info"].strip().lower()
        start = starts[at] + (len(opening["words"]) if "words" in opening.re.groupindex else 0)
        yield CodeBlock(re.split(r"[\s{},:]", info.lstrip("{."))[0], code, start, starts[last + 1], closing is not None)
        at = end + 1


def _opening(line: str) -> re.Match[str] | None:
    opening = OPENING.match(line)
    if opening is None:
        return OPENING_BEHIND_WORDS.match(line)
    return None if "`" in opening["info"] and opening["fence"][0] == "`" else opening


def _closing(lines: list[str], opened: int, fence: str) -> tuple[int, str] | None:
    """The line of the fence that closes a block, and the code before the fence on that line.

    The first candidate, or a later one if the program compiles only up to there: a program may contain fences itself, in a string
    that it prints. Some models write a mark after the fence, or the fence after the last line of code.
    """
    mark = re.escape(fence[0])
    pattern = re.compile(rf"^(?P<code>(?:.*[^\s{mark}])?)[ \t]*{mark}{{{len(fence)},}}[ \t]*(?:</?[\w|]+>)?[ \t]*$")
    found = [(at, closing["code"]) for at in range(opened + 1, len(lines)) if (closing := pattern.match(lines[at].rstrip("\n")))]
    candidates = [(at, code) for at, code in found if not code.strip()] or found[:1]
    behind_code = [(at, code) for at, code in found if code.strip() and "#" not in code]
    earlier = next((each for each in behind_code if not candidates or each[0] < candidates[0][0]), None)
    if earlier is not None and compiles(_dedented([*lines[opened + 1: earlier[0]], earlier[1]], 0)):
        return earlier
    if len(candidates) < 2 or '"""' not in "".join(lines[opened: candidates[0][0]]).replace("'''", '"""'):
        return candidates[0] if candidates else None
    return next(((at, code) for at, code in candidates if compiles(_dedented(lines[opened + 1: at], 0))), candidates[0])


def _dedented(lines: list[str], indent: int) -> str:
    cut = [line[min(indent, len(line) - len(line.lstrip(" \t"))):] if line.strip() else "\n" for line in lines]
    return textwrap.dedent("".join(cut)).strip("\n")


def _program(found: list[CodeBlock]) -> CodeBlock | None:
    tagged = [block for block in found if block.language in PYTHON and block.code.strip()]
    plain = [block for block in found if not block.language and STATEMENT.search(block.code)]
    usable = tagged or plain
    return next((block for block in reversed(usable) if block.is_closed), usable[-1] if usable else None)


def _definitions(block: CodeBlock, earlier: list[CodeBlock]) -> list[CodeBlock]:
    """The earlier Python blocks that define names which `block` uses without defining them, and what those need in turn."""
    needed, used = _free_names(block.code), list[CodeBlock]()
    for each in reversed(earlier):
        if each.language in PYTHON and each.is_closed and needed & _defined_names(each.code):
            used.insert(0, each)
            needed = (needed - _defined_names(each.code)) | _free_names(each.code)
    return used


def _defined_names(code: str) -> frozenset[str]:
    """Names that a program binds at its top level."""
    names: set[str] = set()
    for node in getattr(_tree(code), "body", ()):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        else:
            names |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return frozenset(names)


def _free_names(code: str) -> frozenset[str]:
    """Names that a program uses and binds nowhere."""
    nodes = list(ast.walk(tree)) if (tree := _tree(code)) is not None else []
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return frozenset(read - bound - _defined_names(code) - frozenset(dir(builtins)))


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
    """Return a text that is equal for programs that differ only in comments, blank lines and spacing."""
    tree = _tree(code)
    return re.sub(r"\s+", " ", code).strip() if tree is None else ast.unparse(tree)


def _tree(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):     # what the compiler raises for text that is not a program
        return None
