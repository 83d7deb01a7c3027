"""Lists what a guest may read: the interpreter, the system's shared libraries, and the packages offered to programs."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

PROMISED = ("numpy", "pandas", "matplotlib")
# Public files of the distribution: shared libraries, time zones, fonts.
SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/usr/share/fonts")


@dataclass(frozen=True, slots=True)
class Packages:
    """`links`: the entries of site-packages that a guest can see, by name; it sees no others."""

    versions: tuple[str, ...]
    links: dict[str, str]


@cache
def interpreter() -> str:
    """The interpreter's real path, outside any virtual environment."""
    return os.path.realpath(sys.executable) if sys.executable else ""


@cache
def interpreter_paths() -> tuple[str, ...]:
    """All paths that the standard library is loaded from."""
    extensions = sysconfig.get_config_var("DESTSHARED")
    shared = (str(path) for path in Path(sys.base_prefix, "lib").glob("*.so*"))
    return (os.path.dirname(os.__file__), *((extensions,) if extensions else ()), *shared, *SYSTEM)


@cache
def promised_packages() -> Packages:
    """Return the packages of PROMISED that are installed, with their requirements. Found by metadata; nothing is imported."""
    found = _with_requirements(PROMISED)
    versions = tuple(f"{name} {found[name].version}" for name in PROMISED if name in found)
    return Packages(versions, {name: path for part in found.values() for name, path in _top_level(part).items()})


def _with_requirements(names: tuple[str, ...]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        wanted += [match[0] for line in found[name].requires or () if "extra ==" not in line and (match := re.match(r"[\w.-]+", line))]
    return found


def _top_level(part: Distribution) -> dict[str, str]:
    """The entries of site-packages that belong to one distribution, by its RECORD or, for a system package, `top_level.txt`."""
    record = part.read_text("RECORD") or ""
    names = {re.split(r"[/,]", line, maxsplit=1)[0].strip('"') for line in record.splitlines()}
    names |= set((part.read_text("top_level.txt") or "").split()) if not record else set()
    site = os.path.realpath(str(part.locate_file("")))
    paths = {name: os.path.join(site, name) for name in names - {"..", "", "__pycache__"}}
    return {name: path for name, path in paths.items() if os.path.exists(path)}
