import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import ui.shared.language as language_module
from engine.errors import LoadError, MessageTooLong, NoModelLoaded
from ui.shared.errors import PageError, sentence
from ui.shared.language import LANGUAGES, language_of, number, percent, text

FOLDER = Path(language_module.__file__).parents[1] / "locales"
TEXTS = {language: json.loads((FOLDER / f"{language}.json").read_text("utf-8")) for language in LANGUAGES}


def asking(cookie: str = "", accept: str = "") -> SimpleNamespace:
    return SimpleNamespace(cookies={"mindcubes_language": cookie} if cookie else {}, headers={"accept-language": accept})


@pytest.mark.parametrize("language", ["tr", "zh"])
def test_every_text_exists_in_every_language_with_the_same_placeholders(language: str) -> None:
    def places(texts: dict[str, str]) -> dict[str, list[str]]:
        return {key: sorted(set(re.findall(r"{\w+}", value))) for key, value in texts.items()}

    assert places(TEXTS[language]) == places(TEXTS["en"])
    assert all(TEXTS[language].values())


@pytest.mark.parametrize("word", ["stranger", "takeover", "worktop", "shelf", "duel", "walls", "pump"])
def test_no_visible_text_uses_our_internal_words(word: str) -> None:
    assert [key for key, value in TEXTS["en"].items() if re.search(rf"\b{word}", value, re.IGNORECASE)] == []


def test_the_pages_source_uses_no_unknown_text() -> None:
    source = "".join(path.read_text("utf-8") for path in FOLDER.parent.rglob("*.py"))
    keys = re.findall(r'"((?:chat|bar|usage|options|welcome|error|tab)\.[a-zA-Z_.0-9]+)"', source)
    assert len(keys) > 40
    assert set(keys) <= set(TEXTS["en"])


@pytest.mark.parametrize(("cookie", "accept", "expected"), [
    ("", "tr-TR,tr;q=0.9,en;q=0.8", "tr"), ("", "zh-CN", "zh"), ("", "de-DE,tr;q=0.5", "en"), ("", "", "en"),
    ("zh", "tr-TR", "zh"), ("<script>", "tr", "tr"), ("", "en-US,en;q=0.9", "en"), ("", "TR;q=1", "tr")])
def test_the_chosen_language_overrides_the_browsers(cookie: str, accept: str, expected: str) -> None:
    assert language_of(asking(cookie, accept)) == expected  # type: ignore[arg-type]


def test_numbers_follow_the_language() -> None:
    assert (number("en", 1204.5, 1), number("tr", 1204.5, 1)) == ("1,204.5", "1.204,5")
    assert [percent(language, 0.055, 1) for language in LANGUAGES] == ["5.5%", "%5,5", "5.5%"]


def test_the_labels_are_those_that_the_built_in_model_knows() -> None:
    expected = {"tab.chat": "Sohbet", "options.title": "Seçenekler", "chat.stop": "Durdur", "options.reset": "Sıfırla",
                "chat.regenerate": "Yeniden üret", "chat.copy": "Kopyala"}
    assert {key: text("tr", key) for key in expected} == expected


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_an_error_is_a_sentence_with_its_values(language: str) -> None:
    assert {"9,003", "2,032"} <= set(re.findall(r"\d,\d+", sentence(MessageTooLong(9003, 2032), language).replace(".", ",")))


def test_errors_follow_the_language() -> None:
    assert sentence(NoModelLoaded(), "tr") == text("tr", "error.NoModelLoaded")
    assert sentence(PageError("error.busy"), "zh") == text("zh", "error.busy")


def test_an_error_without_a_translation_keeps_its_own_text() -> None:
    assert sentence(LoadError("m", "it broke.", "Try again."), "tr") == "m could not be loaded: it broke. Try again."


def test_an_unexpected_error_shows_no_internals(caplog: pytest.LogCaptureFixture) -> None:
    assert sentence(RuntimeError("secret path"), "en") == text("en", "error.unexpected")
    assert "secret path" in caplog.text
