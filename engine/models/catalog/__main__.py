"""`python -m engine.models.catalog measure`: count the shapes again from `config`, and write them into catalog.toml."""

from __future__ import annotations

import sys
from pathlib import Path

from .measure import with_measured_shapes

CATALOG = Path(__file__).with_name("catalog.toml")


def main(arguments: list[str] | None = None) -> int:
    CATALOG.write_text(with_measured_shapes(CATALOG.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
