import pytest

from engine import EngineError
from engine.errors import DiskFull, DownloadStopped, JobNotFound, ModelAccessDenied, ModelNotFound, NotEnoughMemory, RateLimited
from engine.generation.context import MERGED_NOTE, NO_TEMPLATE_NOTE, PICTURES_NOTE
from engine.generation.thinking import ALWAYS_NOTE, NEAREST_NOTE, NEVER_NOTE
from engine.remote.reply import UNCOUNTED_NOTE
from engine.remote.request import NO_BUDGET_NOTE
from engine.remote.server import LEFT_OUT_NOTE
from ui.shared.errors import sentence, told_again
from ui.shared.language import text

NOTES = {"no_template": NO_TEMPLATE_NOTE, "merged": MERGED_NOTE, "pictures": PICTURES_NOTE, "never_thinks": NEVER_NOTE,
         "always_thinks": ALWAYS_NOTE, "nearest_effort": NEAREST_NOTE, "no_budget": NO_BUDGET_NOTE, "left_out": LEFT_OUT_NOTE,
         "uncounted": UNCOUNTED_NOTE}


@pytest.mark.parametrize(("language", "needed", "wait"), [
    ("en", "5.2 GiB", "120 s"), ("tr", "5,2 GiB", "120 sn"), ("zh", "5.2 GiB", "120 秒")])
def test_sizes_and_times_are_formatted_as_in_the_language(language: str, needed: str, wait: str) -> None:
    assert needed in sentence(DiskFull(int(5.2 * 2**30), 2**30), language)
    assert wait in sentence(RateLimited("me/tiny", 120.0), language)


@pytest.mark.parametrize("language", ["en", "tr", "zh"])
def test_an_error_of_the_hub_names_the_model_and_the_next_step(language: str) -> None:
    assert "me/tiny" in sentence(DownloadStopped("me/tiny"), language)
    assert "https://huggingface.co/me/gated" in sentence(ModelAccessDenied("me/gated"), language)


@pytest.mark.parametrize(("error", "fact"), [
    (ModelNotFound("me/gone", "the hub"), "me/gone"), (NotEnoughMemory("me/big", 2 * 2**30, 2**30, "…"), "GiB"), (JobNotFound(17), "17")],
    ids=["model", "memory", "job"])
@pytest.mark.parametrize("language", ["tr", "zh"])
def test_errors_are_shown_in_the_page_s_language_with_their_facts(error: EngineError, fact: str, language: str) -> None:
    told = sentence(error, language)
    assert fact in told
    assert told != str(error)


@pytest.mark.parametrize("name", NOTES)
@pytest.mark.parametrize("language", ["tr", "zh"])
def test_a_note_that_was_saved_in_english_is_shown_in_the_page_s_language(name: str, language: str) -> None:
    """If a note of the engine is changed, its text in the locales has to change as well."""
    saved = NOTES[name].format(asked="xhigh", used="low", names="top_k, min_p")
    shown = text(language, f"note.{name}", asked=text(language, "thinking.xhigh"), used=text(language, "thinking.low"),
                 names="top_k, min_p")
    assert told_again(saved, language) == shown != saved
    assert told_again(saved, "en") == saved


def test_other_notes_and_efforts_stay_as_they_are() -> None:
    for saved in ("Another note.", "This model has no effort of thought “title”; “info” was used.", ""):
        assert told_again(saved, "tr") == saved
