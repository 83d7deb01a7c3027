"""Figures are saved as files, without a screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.sandbox.base import Limits
from engine.sandbox.jail import JailSession
from engine.sandbox.packages import promised_packages

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n"
pytestmark = pytest.mark.skipif("matplotlib" not in " ".join(promised_packages().versions), reason="matplotlib is not in this environment")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[JailSession]:
    """One session for all tests, since importing pyplot takes a second."""
    with JailSession(Limits()) as opened:
        yield opened


def test_show_saves_each_figure_and_starts_a_new_one(sandbox: JailSession) -> None:
    result = sandbox.run(f"{PLOT}plt.show()\nprint(plt.get_fignums())\nplt.bar([1], [2])\nplt.show()", timeout_s=30)
    assert result.stdout == "[]\n"
    assert [file.name for file in result.files] == ["figure_1.png", "figure_2.png"]
    assert all(file.path.read_bytes().startswith(b"\x89PNG") for file in result.files)


def test_a_figure_left_open_is_saved_at_the_end(sandbox: JailSession) -> None:
    result = sandbox.run(f"import matplotlib\nmatplotlib.use('Agg')\n{PLOT}plt.title('ğ')", timeout_s=30)
    assert [file.path.suffix for file in result.files] == [".png"]


def test_a_figure_that_the_program_saved_is_not_saved_twice(sandbox: JailSession) -> None:
    result = sandbox.run(f"{PLOT}plt.savefig('mine.png')", timeout_s=30)
    assert [file.name for file in result.files] == ["mine.png"]


def test_figures_of_a_failed_program_do_not_reach_the_next_one(sandbox: JailSession) -> None:
    sandbox.run(f"{PLOT}1 / 0", timeout_s=30)
    assert sandbox.run("print(plt.get_fignums())", timeout_s=30).files == ()
