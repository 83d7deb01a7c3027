"""Writes docs/models.md: the catalog's recommendations for usual machines, and its facts.

    python -m scripts.models_page [--check]

--check changes nothing, and fails if the page is not what the catalog says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.errors import gib
from engine.hardware import DeviceKind, Hardware
from engine.models.catalog import CatalogEntry, Recommendation, Sampling, catalog, recommend, top
from engine.models.quantization import Quantization
from ui.models.view import parameters, why
from ui.shared.html import quantization_name
from ui.shared.language import text

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
GIB = 2**30
MACHINES: tuple[tuple[DeviceKind, tuple[int, ...]], ...] = (("cuda", (4, 8, 16, 24, 48, 80)), ("cpu", (8, 16, 32, 64)))
OTHERS = {"cuda": 0.5, "cpu": 2.0}      # GiB that other programs use
QUANTIZATIONS = {"cuda": (Quantization.INT8, Quantization.NF4), "cpu": (Quantization.INT8, Quantization.INT4, Quantization.NF4)}
COUNT = 5
USES, LANGUAGES = ("code", "reasoning"), {"tr": "Turkish", "zh": "Chinese"}
HEAD = """# Models

Written by `python -m scripts.models_page` from `engine/models/catalog/catalog.toml`. What is recommended follows from each model's
facts, the memory that it needs with one chat of 4,096 tokens (an estimate, engine/models/memory.py), and these rules
(engine/models/catalog/ranking.py): first what fits comfortably; then models that no newer one of their size surpasses; on a GPU
the largest, of equals the first of the catalog; on a CPU those that read about 4 GB for each token. A mixture of experts needs memory
for all its weights and is as fast as those that it reads for a token. Gated models and those made for another use stand further back.
"""


def page() -> str:
    return "\n".join([HEAD, *(line for kind, sizes in MACHINES for size in sizes for line in _machine(kind, size)), *_facts()]) + "\n"


def _machine(kind: DeviceKind, size: int) -> Iterator[str]:
    found = _recommended(kind, size)
    yield f"## {'GPU' if kind == 'cuda' else 'CPU'} with {size} GB\n"
    yield "| model | as | needs | why |\n|---|---|---|---|"
    for choice in top(found, COUNT):
        needed = choice.fit.needed_bytes if choice.fit else 0
        yield f"| {_link(choice.entry)} | {quantization_name(choice.quantization, 'en')} | {gib(needed)} | {why(choice, 'en')} |"
    firsts = [f"for {text('en', f'good.{use}')} {_first(kind, size, use=use)}" for use in USES]
    firsts += [f"in {name} {_first(kind, size, language=code)}" for code, name in LANGUAGES.items()]
    yield f"\nFirst {', '.join(firsts)}.\n"


def _recommended(kind: DeviceKind, size: int, *, use: str = "chat", language: str = "") -> tuple[Recommendation, ...]:
    hardware = Hardware(kind, "", 1, "bfloat16", "", size * GIB, True)
    free = size * GIB - int(OTHERS[kind] * GIB)
    return recommend(hardware, free, supported=QUANTIZATIONS[kind], use=use, language=language)


def _first(kind: DeviceKind, size: int, *, use: str = "chat", language: str = "") -> str:
    return top(_recommended(kind, size, use=use, language=language), 1)[0].entry.name


def _facts() -> Iterator[str]:
    columns = ("model", "parameters", "since", "context", "licence", "for", "reads", "languages", "sampling", "source")
    yield "## Catalog\n"
    yield "Parameters: all, and those that are read for one token where they are far fewer. Sampling: what the author recommends, by"
    yield "mode; where nothing is given, the model's generation_config.json counts. Languages: as its card claims; of hundreds the widely"
    yield "spoken ones.\n"
    yield _row(columns)
    yield "|---" * len(columns) + "|"
    for entry in catalog():
        sampling = "; ".join(f"{mode}: {_sampling(values)}" for mode, values in entry.sampling.items())
        licence = entry.licence + (" (gated)" if entry.gated else "")
        source = entry.source or ("the guide" if entry.guide else "")
        yield _row((_link(entry), _parameters(entry), entry.released, f"{entry.context:,}", licence, ", ".join(entry.good_for),
                    ", ".join(entry.reads), ", ".join(entry.languages), sampling, source))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _parameters(entry: CatalogEntry) -> str:
    count, active = parameters("en", entry.parameters), parameters("en", entry.active_parameters)
    if entry.shape is None:
        return f"about {count}"
    return f"{count}, {active} read" if entry.active_parameters < 0.8 * entry.parameters else count


def _sampling(values: Sampling) -> str:
    return ", ".join(f"{name} {value:g}" for name in Sampling.__slots__ if (value := getattr(values, name)) is not None)


def _link(entry: CatalogEntry) -> str:
    return f"[{entry.name}](https://huggingface.co/{entry.repo})"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the page is out of date")
    if parser.parse_args(arguments).check:
        return int(PAGE.read_text("utf-8") != page())
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
