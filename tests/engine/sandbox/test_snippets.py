"""Ordinary programs print in the jail what they print anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from engine.sandbox.base import Limits
from engine.sandbox.jail import JailSession
from engine.sandbox.packages import promised_packages

from .programs import Program, read_programs


def has(package: str) -> bool:
    return any(version.startswith(f"{package} ") for version in promised_packages().versions)


def runnable() -> list[Program]:
    """Those whose package, named in brackets, is in this environment."""
    needs = re.compile(r"\[(\w+)\]$")
    return [one for one in read_programs("snippets.txt") if (match := needs.search(one.title)) is None or has(match[1])]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[JailSession]:
    """One session for all tests, as a visitor's programs also run one after another in one."""
    with JailSession(Limits()) as opened:
        yield opened


@pytest.mark.parametrize("program", runnable(), ids=lambda one: one.title)
def test_an_ordinary_program_runs_as_expected(sandbox: JailSession, program: Program) -> None:
    result = sandbox.run(program.code, timeout_s=20)
    assert (result.stdout, result.error, result.ok) == (program.expected, "", True)


def test_there_are_enough_snippets() -> None:
    assert len(read_programs("snippets.txt")) >= 60
