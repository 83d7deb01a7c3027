from dataclasses import replace

from ui.chat.welcome import welcome_html
from ui.shared.status_bar import status_html

from ..scripted_engine import FAILED, LOADING, READY


def test_a_loaded_model_is_described() -> None:
    line = status_html(replace(READY, running=3, waiting=2), "x", "en")
    assert all(fact in line for fact in (
        "Scripted", "bfloat16", "cpu", "6.0 / 16.0 GiB", "batched", "3 generating", "2 waiting", "made for tests"))


def test_a_load_shows_its_stage_and_its_numbers() -> None:
    assert "Loading the weights 40 / 100" in status_html(LOADING, "Some model", "en")
    assert "<progress" in welcome_html(LOADING, "en")


def test_a_failed_load_is_shown_with_its_reason() -> None:
    assert "Loading failed" in status_html(FAILED, "x", "en")
    assert "Check the spelling" in welcome_html(FAILED, "en")


def test_names_from_a_model_are_escaped() -> None:
    status = replace(READY, model="<img src=x>")
    assert "<img" not in status_html(status, "x", "en") + welcome_html(status, "en")
