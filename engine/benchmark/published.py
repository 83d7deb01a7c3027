"""Numbers that others have published, with their sources, to lay over one's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True, slots=True)
class Published:
    """`what`: write_rate, bandwidth_share, memory or mmlu. `quantization` as its source names it."""

    what: str
    model: str
    quantization: str
    machine: str
    value: float
    unit: str
    source: str


@cache
def published() -> tuple[Published, ...]:
    return tuple(Published(**number) for number in tomllib.loads(TABLE.read_text("utf-8"))["number"])
