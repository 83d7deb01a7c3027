"""The catalog's commands, for its maintainer.

    python -m engine.models.catalog check [--out FILE] [REPO ...]   compare it with the hub; write FILE with the hub's values
    python -m engine.models.catalog measure                         count the shapes again from the fields in `config`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ...errors import EngineError
from ...hub.hub import Hub
from ...settings import Settings
from .check import compare, corrected

CATALOG = Path(__file__).with_name("catalog.toml")


def main(arguments: list[str] | None = None, *, hub: Hub | None = None, catalog: Path = CATALOG) -> int:
    """0 if nothing differs, 1 if something does, 2 if the hub cannot be reached or a name is not in the catalog."""
    options = _parser().parse_args(arguments)
    text = catalog.read_text("utf-8")
    try:
        if options.command == "check":
            return _check(text, options.repos, hub, Path(options.out or catalog))
        from .measure import with_measured_shapes

        catalog.write_text(with_measured_shapes(text), "utf-8")
        return 0
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _check(text: str, repos: list[str], hub: Hub | None, out: Path) -> int:
    if missing := [repo for repo in repos if f'["{repo}"]' not in text]:
        print(f"error: not in the catalog: {', '.join(missing)}", file=sys.stderr)
        return 2
    settings = Settings.from_env()
    found = compare(text, hub or Hub(settings), settings.hf_token, repos)
    for difference in found.differences:
        print(difference)
    for repo, reason in found.unread.items():
        print(f"{repo}: not read: {reason}")
    print(f"{found.checked} models compared, {len(found.differences)} differences, {len(found.unread)} models not read")
    if found.differences:
        out.write_text(corrected(text, found.differences), "utf-8")
        print(f"written: {out}")
    return int(bool(found.differences))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine.models.catalog", description="Check or measure the catalog of models.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="compare with the hub, print what differs, and write the hub's values")
    check.add_argument("repos", metavar="REPO", nargs="*", help="only these models")
    check.add_argument("--out", help="where to write the corrected catalog (default: in its place)")
    commands.add_parser("measure", help="count the shapes again from the fields in `config`")
    return parser


if __name__ == "__main__":
    sys.exit(main())
