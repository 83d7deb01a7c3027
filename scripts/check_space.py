"""Checks that this repository can run as a Hugging Face Space: what would otherwise fail minutes after a push.

    python -m scripts.check_space [FOLDER] [--resolve]

Front matter of README.md, versions of Python and torch against those of ZeroGPU, requirements, file sizes, secrets, forbidden calls.
--resolve also lets pip resolve the requirements as the platform installs them, which needs a network.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
# Of the platform, as documented in November 2026: huggingface.co/docs/hub/spaces-zerogpu and spaces-config-reference.
ZERO_PYTHON = ("3.10", "3.12")
ZERO_TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
NEEDED = ("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license")
SCOPES = ("openid", "profile", "email", "read-repos", "gated-repos", "contribute-repos", "write-repos", "manage-repos", "inference-api",
          "jobs", "webhooks", "read-billing")
EXTRAS = "oauth,mcp"                    # of Gradio, which the platform installs
MAX_DESCRIPTION = 60                    # characters
MAX_FILE_BYTES, MAX_BYTES = 10 << 20, 1 << 30       # of a file outside of large file storage; of the repository
LARGE = (".safetensors",)               # kept in large file storage
SECRETS = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}", "an AWS key": r"\bAKIA[0-9A-Z]{16}\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    "an OpenAI key": r"\bsk-[A-Za-z0-9_-]{32,}", "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----"}
# Calls that run or load what others wrote, or that ZeroGPU cannot run; and where one is meant.
FORBIDDEN = ("eval", "exec", "os.system", "pickle.load", "pickle.loads", "torch.load", "torch.compile", "torch.cuda.init")
ALLOWED = {"exec": ("engine/sandbox/guest/",)}      # runs inside the sandbox


def front_matter(folder: Path) -> Iterator[str]:
    found = metadata(folder)
    yield from (f"README.md: {name} is missing" for name in NEEDED if name not in found)
    yield from (f"README.md: {name} is {found[name]!r}, which is no color of the platform" for name in ("colorFrom", "colorTo")
                if found.get(name, "red") not in COLORS)
    if found.get("sdk") != "gradio":
        yield f"README.md: sdk is {found.get('sdk')!r}; ZeroGPU needs gradio"
    if not (folder / str(found.get("app_file", "app.py"))).is_file():
        yield f"README.md: app_file {found.get('app_file')!r} does not exist"
    if len(str(found.get("short_description", ""))) > MAX_DESCRIPTION:
        yield f"README.md: short_description has more than {MAX_DESCRIPTION} characters"
    if not re.fullmatch(r"\d+[mh]", str(found.get("startup_duration_timeout", "30m"))):
        yield f"README.md: startup_duration_timeout is {found['startup_duration_timeout']!r}, and must be like 30m or 1h"
    yield from (f"README.md: {scope!r} is no scope of a sign-in" for scope in found.get("hf_oauth_scopes", ()) if scope not in SCOPES)


def metadata(folder: Path) -> dict[str, Any]:
    """The YAML block at the beginning of README.md; empty if there is none."""
    parts = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    found = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
    return found if isinstance(found, dict) else {}


def versions(folder: Path) -> Iterator[str]:
    found = metadata(folder)
    python = found.get("python_version")
    if not isinstance(python, str) or python not in ZERO_PYTHON:
        yield f"README.md: python_version is {python!r}; ZeroGPU has {' and '.join(ZERO_PYTHON)}, in quotation marks"
    needed = requirements(folder / "requirements.txt")
    if (gradio := needed.get("gradio")) and not gradio.specifier.contains(str(found.get("sdk_version"))):
        yield f"README.md: sdk_version {found.get('sdk_version')} does not satisfy {gradio} of requirements.txt"
    first = requirements(folder / "pre-requirements.txt").get("torch")
    if first is None or not any(first.specifier.contains(each) for each in ZERO_TORCH):
        yield f"pre-requirements.txt: names no torch that ZeroGPU has ({', '.join(ZERO_TORCH)})"
    elif first.specifier.contains(next_minor(ZERO_TORCH[-1])):
        yield f"pre-requirements.txt: {first} admits a torch newer than ZeroGPU's ({ZERO_TORCH[-1]})"
    elif not any(first.specifier.contains(each) and needed["torch"].specifier.contains(each) for each in ZERO_TORCH):
        yield f"requirements.txt: {needed['torch']} would replace {first} of pre-requirements.txt"


def next_minor(version: str) -> str:
    return f"{Version(version).major}.{Version(version).minor + 1}.0"


def requirements(path: Path) -> dict[str, Requirement]:
    """The requirements of a file by their names in lower case; without those of other files."""
    lines = (line.split("#", 1)[0].strip() for line in path.read_text("utf-8").splitlines()) if path.is_file() else ()
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {each.name.lower().replace("_", "-"): each for each in found}


def pins(folder: Path) -> Iterator[str]:
    """constraints.txt has a tested version of every requirement."""
    pinned = requirements(folder / "constraints.txt")
    for name, requirement in requirements(folder / "requirements.txt").items():
        pin = pinned.get(name)
        if pin is None:
            yield f"constraints.txt: has no version of {name}"
        elif not requirement.specifier.contains(next(iter(pin.specifier)).version):
            yield f"constraints.txt: {pin} does not satisfy {requirement}"


def sizes(folder: Path) -> Iterator[str]:
    total = 0
    for path in tracked(folder):
        size = path.stat().st_size
        total += size
        if size > MAX_FILE_BYTES and path.suffix not in LARGE:
            yield f"{path.relative_to(folder)}: {size >> 20} MiB, and a file outside of large file storage may have {MAX_FILE_BYTES >> 20}"
    if total > MAX_BYTES:
        yield f"the repository has {total >> 20} MiB, and may have {MAX_BYTES >> 20}"


def secrets(folder: Path) -> Iterator[str]:
    for path in tracked(folder):
        text = path.read_bytes().decode("utf-8", "ignore") if path.stat().st_size <= MAX_FILE_BYTES and path.suffix not in LARGE else ""
        yield from (f"{path.relative_to(folder)}: contains {kind}" for kind, pattern in SECRETS.items() if re.search(pattern, text))
        if path.name == ".env":
            yield f"{path.relative_to(folder)}: is for this machine only"


def calls(folder: Path) -> Iterator[str]:
    for path in tracked(folder):
        name = path.relative_to(folder).as_posix()
        if path.suffix != ".py" or not name.startswith(("app.py", "engine/", "ui/")):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) and "weights_only=True" not in ast.unparse(node) else ""
            if called in FORBIDDEN and not name.startswith(ALLOWED.get(called, ("-",))):
                yield f"{name}:{node.lineno}: calls {called}"       # type: ignore[attr-defined]
            if isinstance(node, ast.keyword) and node.arg in ("trust_remote_code", "shell") and ast.unparse(node.value) == "True":
                yield f"{name}:{node.lineno}: {node.arg}=True"
    yield from imports_spaces_first(folder)


def imports_spaces_first(folder: Path) -> Iterator[str]:
    """`spaces` replaces parts of torch, so it is imported before everything but the standard library."""
    nodes = ast.walk(ast.parse((folder / "app.py").read_text("utf-8")))
    found = sorted((node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)), key=lambda node: node.lineno)
    names = [node.names[0].name if isinstance(node, ast.Import) else node.module or "" for node in found]
    others = [name for name in names if name.partition(".")[0] not in sys.stdlib_module_names]
    if others[:1] != ["spaces"]:
        yield "app.py: must import spaces before other packages"


def tracked(folder: Path) -> Iterator[Path]:
    """The files that git tracks; without git, those that are not hidden."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, text=True)
    names = found.stdout.split("\0") if found.returncode == 0 and found.stdout else [
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not any(part.startswith(".git") for part in path.parts)]
    yield from (folder / name for name in names if name and (folder / name).is_file())


def resolution(folder: Path) -> Iterator[str]:
    """pip finds versions for everything that the platform installs together. Needs a network."""
    gradio = f"gradio[{EXTRAS}]=={metadata(folder).get('sdk_version')}"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "-r", "pre-requirements.txt",
               "-r", "requirements.txt", gradio, "spaces"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        yield f"requirements: pip finds no versions that fit together:\n{done.stderr.strip()[-2000:]}"


CHECKS: tuple[Callable[[Path], Iterator[str]], ...] = (front_matter, versions, pins, sizes, secrets, calls)


def problems(folder: Path, *, resolves: bool = False) -> list[str]:
    return [problem for check in (*CHECKS, *([resolution] if resolves else ())) for problem in check(folder)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="the repository (default: this one)")
    parser.add_argument("--resolve", action="store_true", help="let pip resolve the requirements; needs a network")
    asked = parser.parse_args(arguments)
    found = problems(asked.folder.resolve(), resolves=asked.resolve)
    print("\n".join(found) or "This repository can run as a Space.", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
