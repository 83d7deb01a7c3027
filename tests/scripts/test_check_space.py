from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.check_space import EXTRAS, MAX_FILE_BYTES, main, problems

ROOT = Path(__file__).parents[2]
FILES = ("README.md", "app.py", "requirements.txt", "pre-requirements.txt", "constraints.txt")
TOKEN = "hf_" + "a1B2" * 9


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """What a Space needs of this repository, without git."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "engine").mkdir()
    return tmp_path


def changed(space: Path, name: str, old: str, new: str) -> list[str]:
    path = space / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return problems(space)


def test_this_repository_can_run_as_a_space(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == "This repository can run as a Space.\n"


def test_a_copy_without_git_is_checked_too(space: Path) -> None:
    assert problems(space) == []


@pytest.mark.parametrize(("name", "old", "new", "problem"), [
    ("README.md", "emoji: 🧊\n", "", "emoji is missing"),
    ("README.md", "colorFrom: indigo", "colorFrom: violet", "'violet', which is no color"),
    ("README.md", "sdk: gradio", "sdk: docker", "ZeroGPU needs gradio"),
    ("README.md", "app_file: app.py", "app_file: main.py", "'main.py' does not exist"),
    ("README.md", "short_description: ", "short_description: " + "x" * 60, "more than 60 characters"),
    ("README.md", "timeout: 30m", "timeout: soon", "must be like 30m"),
    ("README.md", "  - read-repos", "  - read-everything", "no scope"),
    ("README.md", 'python_version: "3.12"', "python_version: 3.12", "in quotation marks"),
    ("README.md", 'python_version: "3.12"', 'python_version: "3.11"', "ZeroGPU has 3.10 and 3.12"),
    ("README.md", "sdk_version: 6.31.0", "sdk_version: 5.0.0", "does not satisfy gradio"),
    ("README.md", "---\n", "", "title is missing"),
    ("pre-requirements.txt", "<2.12", "", "admits a torch newer than ZeroGPU's"),
    ("pre-requirements.txt", ">=2.8,<2.12", "==2.4", "names no torch that ZeroGPU has"),
    ("requirements.txt", "torch>=2.8", "torch>=2.13", "would replace torch"),
    ("constraints.txt", "pypdf==7.1.0\n", "", "has no version of pypdf"),
    ("constraints.txt", "pypdf==7.1.0", "pypdf==6.0.0", "does not satisfy pypdf"),
    ("app.py", "    import spaces", "    import json", "must import spaces before other packages")])
def test_what_the_platform_would_refuse_is_named(space: Path, name: str, old: str, new: str, problem: str) -> None:
    assert any(problem in each for each in changed(space, name, old, new))


@pytest.mark.parametrize(("content", "problem"), [
    (f"key = '{TOKEN}'", "contains a Hugging Face token"), ("key = '-----BEGIN RSA " + "PRIVATE KEY-----'", "contains a private key"),
    ("eval(text)", "calls eval"), ("import torch\ntorch.compile(f)", ":2: calls torch.compile"), ("torch.load(path)", "calls torch.load"),
    ("load(name, trust_remote_code=True)", "trust_remote_code=True"), ("run(command, shell=True)", "shell=True")])
def test_secrets_and_forbidden_calls_are_found_in_the_code(space: Path, content: str, problem: str) -> None:
    (space / "engine" / "bad.py").write_text(content)
    assert [problem in each for each in problems(space)] == [True]


def test_tensors_may_be_read_without_code(space: Path) -> None:
    (space / "engine" / "good.py").write_text("torch.load(path, weights_only=True)")
    assert problems(space) == []


def test_a_large_file_and_a_file_of_settings_are_refused(space: Path) -> None:
    with (space / "data.bin").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    (space / ".env").write_text("HF_TOKEN=x")
    assert [each.partition(":")[0] for each in problems(space)] == ["data.bin", ".env"]
    assert main([str(space)]) == 1


def test_gradio_still_has_the_extras_that_the_platform_installs() -> None:
    from importlib.metadata import metadata

    assert set(EXTRAS.split(",")) <= set(metadata("gradio").get_all("Provides-Extra") or ())
