import pytest

from engine import EngineError
from engine.errors import DiskFull, DownloadStopped, JobNotFound, ModelAccessDenied, ModelNotFound, NotEnoughMemory, RateLimited
from ui.shared.errors import sentence


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
