"""Every example of docs/python.md runs as it stands, in a separate process, with the built-in model and no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "python.md").read_text("utf-8")
EXAMPLES = re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
BLOCKS = [pytest.param(code, id=f"{title} {number}") for title, section in EXAMPLES
          for number, code in enumerate(re.findall(r"```python\n(.*?)```", section, re.DOTALL), 1)]


@pytest.mark.parametrize("code", BLOCKS)
def test_an_example_runs(code: str, tmp_path: Path) -> None:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "MINDCUBES_DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_is_an_example_for_every_group_of_names() -> None:
    groups = re.findall(r"^# .+$", Path(engine.__file__).read_text("utf-8"), re.MULTILINE)
    assert len(EXAMPLES) >= len(groups) >= 5


def test_every_public_name_is_shown_or_named() -> None:
    missing = [name for name in engine.__all__ if not re.search(rf"\b{name}\b", TEXT)]
    assert missing == []
