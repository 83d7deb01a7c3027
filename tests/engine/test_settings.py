from pathlib import Path

import pytest

from engine import Settings
from engine.errors import InvalidRequest

NO_FILE = Path("/nonexistent/.env")


def test_the_environment_overrides_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# comment\nMINDCUBES_MODEL='a/b'\nMINDCUBES_CONTEXT_TOKENS=1000\n")
    settings = Settings.from_env({"MINDCUBES_CONTEXT_TOKENS": "2000"}, file)
    assert (settings.model, settings.context_tokens, settings.concurrent_replies) == ("a/b", 2000, 8)


def test_the_token_is_never_shown() -> None:
    settings = Settings.from_env({"HF_TOKEN": "hf_secret"}, NO_FILE)
    assert "hf_secret" not in repr(settings) + str(settings)
    assert settings.hf_token.reveal() == "hf_secret"


def test_a_space_is_public_and_listens_on_all_interfaces() -> None:
    settings = Settings.from_env({"SPACE_ID": "me/space"}, NO_FILE)
    assert (settings.is_public, settings.host, settings.port) == (True, "0.0.0.0", 7860)


def test_an_invalid_value_is_refused_with_the_name_of_its_variable() -> None:
    with pytest.raises(InvalidRequest, match="MINDCUBES_CONTEXT_TOKENS"):
        Settings.from_env({"MINDCUBES_CONTEXT_TOKENS": "many"}, NO_FILE)


def test_every_variable_of_the_example_is_read(tmp_path: Path) -> None:
    example = Path(".env.example").read_text()
    names = [line.split("=")[0] for line in example.splitlines() if "=" in line and not line.startswith("#")]
    source = Path("engine/settings.py").read_text()
    assert [name for name in names if f'"{name}"' not in source] == []
    assert Settings.from_env({}, Path(".env.example")).model == "builtin"
