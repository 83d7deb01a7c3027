"""Swaps: options of a load, measurement of freed memory, running replies, unloading when idle."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import (
    Engine,
    Finished,
    GenerationOptions,
    LoadOptions,
    Message,
    ModelSpec,
    Quantization,
    Settings,
    TextDelta,
    Waiting,
    estimate_fit,
)
from engine.errors import InvalidRequest
from tests.conftest import ask, exhaust

LONG = GenerationOptions(max_new_tokens=450, temperature=1.0)


def test_a_load_can_set_the_window_and_the_number_of_replies(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine()
    exhaust(engine.load(ModelSpec(str(llama_folder)), LoadOptions(context_tokens=256, visitors=3)))
    assert engine.status().window_tokens == 256
    assert "3 full windows of 256" in " ".join(engine.status().notes)


def test_the_same_model_with_another_window_is_loaded_again(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine(llama_folder)
    events = exhaust(engine.load(ModelSpec(str(llama_folder)), LoadOptions(context_tokens=128)))
    assert "weights" in [event.stage for event in events]      # type: ignore[attr-defined]
    assert engine.status().window_tokens == 128


@pytest.mark.parametrize("options", [LoadOptions(context_tokens=3), LoadOptions(visitors=100_000)], ids=["context", "visitors"])
def test_invalid_options_are_refused_with_their_value(new_engine: Callable[..., Engine], options: LoadOptions) -> None:
    with pytest.raises(InvalidRequest, match=r"3|100000"):
        new_engine().start_loading("builtin", options)


def test_a_public_page_cannot_force_a_load(new_engine: Callable[..., Engine], settings: Settings) -> None:
    engine = new_engine(made_with=replace(settings, is_public=True))
    with pytest.raises(InvalidRequest):
        engine.start_loading("builtin", LoadOptions(is_forced=True))


def test_a_swap_reports_the_freed_memory(new_engine: Callable[..., Engine], llama_folder: Path, gpt2_folder: Path) -> None:
    engine = new_engine(llama_folder)
    events = exhaust(engine.load(ModelSpec(str(gpt2_folder))))
    freed = [event for event in events if event.released]      # type: ignore[attr-defined]
    assert [event.stage for event in freed] == ["unload"]      # type: ignore[attr-defined]
    assert freed[0].note.startswith("Freed ")      # type: ignore[attr-defined]
    assert engine.status().released == freed[0].released      # type: ignore[attr-defined]


def begin_reply(engine: Engine) -> tuple[threading.Thread, list[object]]:
    """A long reply in another thread, which has begun."""
    events: list[object] = []
    reply = threading.Thread(target=lambda: events.extend(iter_events()))

    def iter_events() -> list[object]:
        for event in engine.chat([Message("user", "hello")], LONG):
            events.append(event)
        return []

    reply.start()
    deadline = time.monotonic() + 20
    while not any(isinstance(event, TextDelta) for event in events) and time.monotonic() < deadline:
        time.sleep(0.01)
    return reply, events


def test_a_swap_announces_the_replies_it_waits_for(new_engine: Callable[..., Engine], llama_folder: Path, gpt2_folder: Path) -> None:
    engine = new_engine(llama_folder)
    others = [begin_reply(engine)[0] for _ in range(5)]      # together they take a while, also beside a slow load
    reply, events = begin_reply(engine)
    stages = exhaust(engine.load(ModelSpec(str(gpt2_folder))))
    for each in (*others, reply):
        each.join(20)
    assert any("Waiting for " in event.note for event in stages)      # type: ignore[attr-defined]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason in ("length", "stop")      # by itself


def test_a_swap_can_stop_running_replies(new_engine: Callable[..., Engine], llama_folder: Path, gpt2_folder: Path) -> None:
    engine = new_engine(llama_folder)
    reply, events = begin_reply(engine)
    exhaust(engine.load(ModelSpec(str(gpt2_folder)), LoadOptions(drain="stop")))
    reply.join(20)
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stopped"


def test_an_idle_model_is_unloaded_and_the_next_message_loads_it_again(
        new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path) -> None:
    engine = new_engine(llama_folder, replace(settings, idle_unload_s=1))
    before = ask(engine, "hello")[0]
    deadline = time.monotonic() + 20
    while engine.status().state != "asleep" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine.status().state == "asleep"
    assert engine.status().model == llama_folder.name
    assert ask(engine, "hello")[0] == before


def test_a_model_in_use_stays_loaded(new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path) -> None:
    engine = new_engine(llama_folder, replace(settings, idle_unload_s=1))
    events = engine.chat([Message("user", "hello")], LONG)
    while isinstance(next(events), Waiting):
        pass
    time.sleep(1.6)     # longer than a model may be idle
    assert engine.status().state == "ready"
    exhaust(events)


def test_the_measured_peak_of_a_load_is_part_of_the_next_estimate(
        new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path, tmp_path: Path) -> None:
    own = replace(settings, data_dir=tmp_path)
    new_engine(llama_folder, own)
    fit = estimate_fit(str(llama_folder), settings=own)
    measured = {choice.quantization: choice.measured_peak_bytes for choice in fit.choices}
    assert (measured[Quantization.NONE] or 0) > 0
    assert measured[Quantization.NF4] is None
