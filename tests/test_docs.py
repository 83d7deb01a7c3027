"""The tests, files and searches that docs/security.md and docs/sandbox.md name exist."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/sandbox.md", "docs/security.md")
GREP = re.compile(r"`(grep [^`]+)`( finds nothing| is 0)?")
TEST = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")
PATH = re.compile(r"(?<![\w/.~])((?:engine|ui|api|tests|docs|scripts|benchmarks)/[\w./]*\w)")


@cache
def functions_in(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    named = TEST.findall((ROOT / page).read_text("utf-8"))
    assert len(named) > 20
    missing = [f"{path}::{name}" for path, name in named if not (ROOT / path).is_file() or (name and name not in functions_in(ROOT / path))]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    assert [path for path in PATH.findall((ROOT / page).read_text("utf-8")) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_line_of_a_list_has_its_command(page: str) -> None:
    items = re.split(r"\n- ", (ROOT / page).read_text("utf-8"))[1:]
    without = [item.split("\n")[0] for item in items if "`" not in item.split("\n\n")[0]]
    assert without == []


@pytest.mark.skipif(shutil.which("grep") is None, reason="there is no grep here")
@pytest.mark.parametrize("page", PAGES)
def test_every_search_that_a_page_names_finds_what_it_says(page: str) -> None:
    searches = GREP.findall((ROOT / page).read_text("utf-8"))
    assert searches
    wrong = [command for command, expected in searches
             if bool(subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True).returncode) != bool(expected)]
    assert wrong == []
