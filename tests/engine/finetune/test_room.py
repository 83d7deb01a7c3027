"""The chat model makes room for a run, and comes back; also after the app was started again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Settings
from engine.background import StopSignal
from engine.errors import EngineBusy
from engine.finetune.inputs import machine_of
from engine.finetune.room import WHY, Room, is_room_taken
from engine.storage.alive import this_process
from engine.storage.finetune_runs import FineTuneStore

from ...conftest import ask


def test_the_chat_model_is_unloaded_for_a_run_and_loaded_again_afterwards(
        new_engine: Callable[..., Engine], llama_folder: Path, settings: Settings, tmp_path: Path) -> None:
    engine = new_engine(llama_folder, made_with=replace(settings, data_dir=tmp_path))
    store = FineTuneStore(engine.database)
    row = store.add("me", "{}", "{}")
    before, answer = engine.current, ask(engine, "hello")[0]

    room = Room(engine, store, row.id, "")
    room.make(StopSignal())
    assert engine.current is None
    with pytest.raises(EngineBusy, match=WHY):
        ask(engine, "hello")
    with pytest.raises(EngineBusy, match=WHY):
        engine.start_loading("builtin")

    # The app ends here. The next one knows from the row what to load, though this one still could.
    kept = store.get(row.id, "me").chat_model
    engine.admission.release(room._reservation)
    store.set_trainer(row.id, this_process())
    assert is_room_taken(engine)
    later = Room(engine, store, row.id, kept)
    with pytest.raises(EngineBusy, match=WHY):
        engine.start_loading("builtin")
    store.set_trainer(row.id, "")
    assert not is_room_taken(engine)
    later.give_back()
    assert engine.current == before
    assert ask(engine, "hello")[0] == answer
    assert engine.admission.reserved_for == ""


def test_another_model_that_was_loaded_meanwhile_stays(
        new_engine: Callable[..., Engine], llama_folder: Path, gpt2_folder: Path, settings: Settings, tmp_path: Path) -> None:
    engine = new_engine(llama_folder, made_with=replace(settings, data_dir=tmp_path))
    store = FineTuneStore(engine.database)
    row = store.add("me", "{}", "{}")
    Room(engine, store, row.id, "").make(StopSignal())
    kept = store.get(row.id, "me").chat_model

    other = new_engine(gpt2_folder, made_with=replace(settings, data_dir=tmp_path))
    Room(other, store, row.id, kept).give_back()
    assert other.spec is not None
    assert other.spec.model == str(gpt2_folder)


def test_without_a_chat_model_none_is_loaded_beside_the_run(
        new_engine: Callable[..., Engine], llama_folder: Path, settings: Settings, tmp_path: Path) -> None:
    """One that was unloaded after the estimate: the run has its memory."""
    engine = new_engine(llama_folder, made_with=replace(settings, data_dir=tmp_path))
    engine.unload()
    room = Room(engine, FineTuneStore(engine.database), "0" * 32, "")
    room.make(StopSignal())
    with pytest.raises(EngineBusy, match=WHY):
        engine.start_loading(str(llama_folder))
    room.give_back()
    assert engine.admission.reserved_for == ""
    assert engine.current is None


def test_a_model_that_the_next_message_loads_again_makes_room_too(
        new_engine: Callable[..., Engine], llama_folder: Path, settings: Settings, tmp_path: Path) -> None:
    engine = new_engine(llama_folder, made_with=replace(settings, data_dir=tmp_path))
    held, before = engine.held_bytes, engine.current
    assert engine.admission.begin_sleep(0.0)
    engine.admission.empty(engine.hardware, 0.0)
    engine.admission.settle()
    assert machine_of(engine, is_operator=True).held_bytes == held > 0
    store = FineTuneStore(engine.database)
    room = Room(engine, store, store.add("me", "{}", "{}").id, "")
    room.make(StopSignal())
    with pytest.raises(EngineBusy, match=WHY):
        ask(engine, "hello")
    room.give_back()
    assert (engine.current, engine.admission.state) == (before, "ready")
