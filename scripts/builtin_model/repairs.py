"""Breaks correct programs so that they raise an error, and returns Python's traceback."""

from __future__ import annotations

import contextlib
import io
import random
import re
import sys
import traceback
from types import FrameType
from typing import Any

KEYWORDS = frozenset(
    "def return for in if else elif while not and or import from print True False None break is range".split())


def break_program(code: str, rng: random.Random) -> tuple[str, str] | None:
    """Return a broken version of `code` and its traceback; None if the random change does not break it."""
    damage = rng.choice((_misspell, _misspell, _drop_line, _drop_character, _drop_character, _call_missing))
    broken = damage(code, rng)
    if broken is None or broken == code:
        return None
    error = run_error(broken)
    return None if error is None else (broken, error)


class _Endless(BaseException):
    pass


def _line_budget(lines: int) -> Any:
    """Return a trace function that stops endless programs. It counts lines, not seconds, so that a seed always has the same result."""
    left = lines

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        left -= event == "line"
        if left < 0:
            raise _Endless
        return trace

    return trace


def run_error(code: str) -> str | None:
    """Return the traceback of `code` with only the program's own frames; None if it succeeds or does not end."""
    previous = sys.gettrace()
    sys.settrace(_line_budget(20_000))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "program.py", "exec"), {"__name__": "__main__"})
    except _Endless:
        return None
    except Exception as error:
        sys.settrace(previous)
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "program.py"]
        lines = code.split("\n")
        shown = ["Traceback (most recent call last):"] if frames else []
        for frame in frames[-2:]:
            shown.append(f'  File "program.py", line {frame.lineno}, in {frame.name}')
            shown.append(f"    {lines[(frame.lineno or 1) - 1].strip()}")
        if isinstance(error, SyntaxError):
            shown.append(f'  File "program.py", line {error.lineno}')
            shown.append(f"    {(error.text or '').strip()}")
            return "\n".join([*shown, f"{type(error).__name__}: {error.msg}"])
        return "\n".join([*shown, f"{type(error).__name__}: {error}"])
    finally:
        sys.settrace(previous)
    return None


def _misspell(code: str, rng: random.Random) -> str | None:
    names = [m for m in re.finditer(r"[A-Za-z_]\w{2,}", code) if m.group() not in KEYWORDS]
    if not names:
        return None
    spot = rng.choice(names)
    name, at = spot.group(), rng.randrange(1, len(spot.group()))
    wrong = rng.choice((name[:at] + name[at + 1:], name + "s", name[:at] + name[at] + name[at:]))
    return code[: spot.start()] + wrong + code[spot.end():]


def _drop_line(code: str, rng: random.Random) -> str | None:
    lines = code.split("\n")
    spots = [i for i, line in enumerate(lines) if re.match(r"(import|from|\w+ = )", line)]
    if not spots:
        return None
    del lines[rng.choice(spots)]
    return "\n".join(lines)


def _drop_character(code: str, rng: random.Random) -> str | None:
    spots = [m.start() for m in re.finditer(r":$|\)$|\(|\]|\"", code, re.MULTILINE)]
    if not spots:
        return None
    spot = rng.choice(spots)
    return code[:spot] + code[spot + 1:]


def _call_missing(code: str, rng: random.Random) -> str | None:
    swaps = (("print(", "prnt("), ("range(", "rang("), ("len(", "length("), ("str(", "string("), ("sum(", "summ("),
             (".append(", ".add("), (".join(", ".joins("), ("sorted(", "sort("), (".upper(", ".toupper("))
    here = [swap for swap in swaps if swap[0] in code]
    if not here:
        return None
    right, wrong = rng.choice(here)
    return code.replace(right, wrong, 1)
