"""Numbers that others have published, with their sources, to lay over one's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..models.quantization import Quantization

TABLE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True, slots=True)
class Published:
    """`what`: write_rate or moved_bytes_per_second, as in Speed and Share. `software`: what it was measured with."""

    what: str
    model: str
    quantization: Quantization
    machine: str
    software: str
    value: float
    unit: str
    source: str


@cache
def published() -> tuple[Published, ...]:
    numbers = tomllib.loads(TABLE.read_text("utf-8"))["number"]
    return tuple(Published(**{**number, "quantization": Quantization(number["quantization"])}) for number in numbers)
