"""Every example of docs/python.md runs as it stands, with nothing but its own names, the built-in model and no network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import engine
from tests import own_thread

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "python.md").read_text("utf-8")
EXAMPLES = re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
BLOCKS = [pytest.param(code, id=f"{title} {number}") for title, section in EXAMPLES
          for number, code in enumerate(re.findall(r"```python\n(.*?)```", section, re.DOTALL), 1)]


@pytest.mark.parametrize("code", BLOCKS)
def test_an_example_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, since each of its own would import torch again."""
    monkeypatch.setenv("MINDCUBES_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "__main__"}
    try:
        own_thread.in_thread(lambda: exec(compile(code, "docs/python.md", "exec"), names))
    finally:
        for value in names.values():
            if isinstance(value, engine.Engine):
                value.close()
            elif isinstance(value, engine.LocalModelProvider):
                value.unload_model()
    assert capsys.readouterr().out.strip()


def test_there_is_an_example_for_every_group_of_names() -> None:
    groups = re.findall(r"^# .+$", Path(engine.__file__).read_text("utf-8"), re.MULTILINE)
    assert len(EXAMPLES) >= len(groups) >= 5


def test_every_public_name_is_shown_or_named() -> None:
    missing = [name for name in engine.__all__ if not re.search(rf"\b{name}\b", TEXT)]
    assert missing == []
