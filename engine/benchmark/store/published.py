"""Published numbers with their sources, for comparison with measured ones."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...models.quantization import Quantization

TABLE = Path(__file__).with_name("published.toml")
TUNED = re.compile(r"(-(hf|instruct|chat|it|base))+$")


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

    def is_of(self, model: str) -> bool:
        """Whether a model of this name has the same shape, which the owner and fine-tuning do not change."""
        return _shape_name(self.model) == _shape_name(model)


def _shape_name(model: str) -> str:
    return TUNED.sub("", model.rpartition("/")[2].casefold())


@cache
def published() -> tuple[Published, ...]:
    numbers = tomllib.loads(TABLE.read_text("utf-8"))["number"]
    return tuple(Published(**{**number, "quantization": Quantization(number["quantization"])}) for number in numbers)
