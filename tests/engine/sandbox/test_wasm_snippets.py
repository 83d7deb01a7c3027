"""Ordinary programs print in WebAssembly what they print anywhere."""

from __future__ import annotations

import re

import pytest

from engine.sandbox.wasm import WasmSession

from .programs import Program, read_programs

# What there is not in WebAssembly: threads, time zones, another machine.
IMPOSSIBLE = {"time zones", "threads", "a thread that is not joined", "a thread pool", "a queue", "about the machine"}
SNIPPETS = [one for one in read_programs("snippets.txt") if one.title not in IMPOSSIBLE and not re.search(r"\[\w+\]$", one.title)]


@pytest.mark.parametrize("program", SNIPPETS, ids=lambda one: one.title)
def test_an_ordinary_program_runs_as_expected(wasm_session: WasmSession, program: Program) -> None:
    result = wasm_session.run(program.code, timeout_s=20)
    assert (result.stdout, result.error, result.ok) == (program.expected, "", True)


def test_there_are_enough_snippets() -> None:
    assert len(SNIPPETS) >= 60
