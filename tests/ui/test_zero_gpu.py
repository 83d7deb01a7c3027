"""A page on ZeroGPU, over HTTP, with a stand-in of its package: chatting, whose GPU time is used, and what is off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from engine import Engine, Settings
from engine.errors import NoMeasuringOnZeroGpu, NoSwapOnZeroGpu, NotOnZeroGpu
from engine.generation.lent import GpuNotFree, GpuQuotaUsed, GpuQuotaUsedUntil, GpuRefused
from engine.library import Permissions, Visitor
from tests import spaces_standin
from ui.app import build_app, launch
from ui.shared.errors import sentence, told_again

from .test_public_page import Visitor as Caller
from .test_request_guard import sent

TOKEN = "who asks"


@pytest.fixture(scope="module")
def spaces() -> Iterator[ModuleType]:
    with spaces_standin.installed() as standin:
        yield standin


@pytest.fixture(scope="module")
def address(spaces: ModuleType, new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environ = {"SPACE_ID": "me/app", "SPACES_ZERO_GPU": "true", "MINDCUBES_DATA_DIR": str(tmp_path_factory.mktemp("zero"))}
    settings = Settings.from_env(environ, Path("/nonexistent"))
    assert settings.is_zero_gpu
    engine = new_engine("builtin", settings)
    engine.place_on_lent_gpu()
    page = build_app(engine)
    yield launch(page, engine, server_name="127.0.0.1")
    page.close(verbose=False)


def ended(visitor: Caller, language: str = "en") -> str:
    """The visitor's chat after its reply."""
    follow = next(each for each in visitor.config["dependencies"] if each["api_name"] == "follow_replies")
    end = next(each for each in visitor.config["dependencies"] if each["api_name"] == "end")
    visitor.results(follow["id"], [None] * len(follow["inputs"]))
    return visitor.results(end["id"], [None, 0], Accept_Language=language)


def test_a_program_gets_an_answer(spaces: ModuleType, address: str) -> None:
    _, _, text = sent(address, "POST", "/gradio_api/call/chat", {"data": ["Which model fits in 6 GB?", "", 0, 40]}, X_IP_Token=TOKEN)
    _, _, text = sent(address, "GET", f"/gradio_api/call/chat/{json.loads(text)['event_id']}")
    assert "event: complete" in text
    assert len(text.rpartition("data: ")[2]) > 20
    assert spaces.calls[-1].request.headers["x-ip-token"] == TOKEN


def test_a_visitor_of_the_page_gets_an_answer_with_the_own_gpu_time(spaces: ModuleType, address: str) -> None:
    visitor = Caller(address)
    visitor.call("mc-send", "click", first="Which model fits in 6 GB?", X_IP_Token=TOKEN)
    shown = ended(visitor)
    assert "mc-facts" in shown
    assert "mc-problem" not in shown
    assert spaces.calls[-1].request.headers["x-ip-token"] == TOKEN


def test_a_used_up_quota_is_said_in_the_visitors_language(spaces: ModuleType, address: str) -> None:
    spaces.refusals.append(("ZeroGPU quota exceeded", "You have exceeded your free ZeroGPU quota. Try again in 0:20:01. "))
    visitor = Caller(address)
    visitor.call("mc-send", "click", first="hello")
    assert "0:20:01 sonra yeniden deneyin" in ended(visitor, "tr")


@pytest.mark.parametrize("error", [GpuQuotaUsed(), GpuQuotaUsedUntil("1:00:00"), GpuNotFree(), GpuRefused("the task\nwas aborted")])
def test_an_error_that_was_saved_is_the_one_that_was_shown(error: Exception) -> None:
    assert [told_again(str(error), language) for language in ("en", "tr", "zh")] == [
        str(error), *(sentence(error, language) for language in ("tr", "zh"))]
    assert told_again("Another error.", "tr") == "Another error."


def test_what_a_borrowed_gpu_cannot_do_is_off_with_the_reason(address: str) -> None:
    visitor = Caller(address)
    visitor.models("choose", "builtin")
    assert "This Space borrows a GPU for each reply (ZeroGPU), so its model cannot be replaced." in visitor.models("load")
    for error in (NoSwapOnZeroGpu(), NoMeasuringOnZeroGpu(), NotOnZeroGpu("be trained")):
        for language, words in (("tr", "bir GPU ödünç alır"), ("zh", "临时借用 GPU")):
            assert words in sentence(error, language)


def test_a_model_is_loaded_once(spaces: ModuleType, new_engine: Callable[..., Engine], settings: Settings) -> None:
    engine = new_engine("builtin", replace(settings, is_zero_gpu=True))
    with pytest.raises(NotOnZeroGpu, match="MINDCUBES_MODEL"):
        engine.start_loading("builtin")
    with pytest.raises(NotOnZeroGpu, match="be measured"):
        Permissions(engine).require_measuring(Visitor())


def test_the_idle_time_of_a_space_with_a_lent_gpu_is_off() -> None:
    environ = {"SPACES_ZERO_GPU": "true", "MINDCUBES_IDLE_MINUTES": "5"}
    assert Settings.from_env(environ, Path("/nonexistent")).idle_unload_s == 0
