"""Ordinary programs print in the jail what they print anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from engine.agent.sandbox.base import Limits
from engine.agent.sandbox.jail import JailBox
from engine.agent.sandbox.packages import promised_packages

from .programs import Program, read_programs

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n"


def has(package: str) -> bool:
    return any(version.startswith(f"{package} ") for version in promised_packages().versions)


def runnable() -> list[Program]:
    """Those whose package, named in brackets, is in this environment."""
    needs = re.compile(r"\[(\w+)\]$")
    return [one for one in read_programs("snippets.txt") if (match := needs.search(one.title)) is None or has(match[1])]


@pytest.fixture(scope="module")
def box() -> Iterator[JailBox]:
    """One for all: a visitor's programs follow one another in it, too."""
    with JailBox(Limits()) as opened:
        yield opened


@pytest.mark.parametrize("program", runnable(), ids=lambda one: one.title)
def test_an_ordinary_program_runs_right(box: JailBox, program: Program) -> None:
    result = box.run(program.code, timeout_s=20)
    assert (result.stdout, result.error, result.ok) == (program.expected, "", True)


def test_there_are_enough_snippets_to_mean_something() -> None:
    assert len(read_programs("snippets.txt")) >= 60


@pytest.mark.skipif(not has("matplotlib"), reason="matplotlib is not in this environment")
class TestFigures:
    def test_show_saves_each_figure_and_starts_a_new_one(self, box: JailBox) -> None:
        result = box.run(f"{PLOT}plt.show()\nprint(plt.get_fignums())\nplt.bar([1], [2])\nplt.show()", timeout_s=30)
        assert result.stdout == "[]\n"
        assert [file.name for file in result.files] == ["figure_1.png", "figure_2.png"]
        assert all(file.path.read_bytes().startswith(b"\x89PNG") for file in result.files)

    def test_a_figure_left_open_is_saved_at_the_end(self, box: JailBox) -> None:
        result = box.run(f"import matplotlib\nmatplotlib.use('Agg')\n{PLOT}plt.title('ğ')", timeout_s=30)
        assert [file.path.suffix for file in result.files] == [".png"]

    def test_a_figure_that_the_program_saved_is_not_saved_twice(self, box: JailBox) -> None:
        result = box.run(f"{PLOT}plt.savefig('mine.png')", timeout_s=30)
        assert [file.name for file in result.files] == ["mine.png"]

    def test_figures_of_a_failed_program_do_not_reach_the_next_one(self, box: JailBox) -> None:
        box.run(f"{PLOT}1 / 0", timeout_s=30)
        assert box.run("print(plt.get_fignums())", timeout_s=30).files == ()
