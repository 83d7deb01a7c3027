"""Programs as data: `=== title`, the program, `---`, and what is expected of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Program:
    title: str
    code: str
    expected: str


def read_programs(file: str) -> list[Program]:
    text = Path(__file__).with_name(file).read_text("utf-8")
    return [Program(*parts) for parts in re.findall(r"^=== ([^\n]*)\n(.*?)^---\n(.*?)(?=\n=== |\Z)", text, flags=re.DOTALL | re.MULTILINE)]
