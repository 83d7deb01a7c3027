"""Loads, swaps, failures and recovery, through the public interface of Engine."""

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, EngineError, Finished, GenerationOptions, Message, ModelSpec, Quantization, Settings, TextDelta, Waiting
from engine.errors import EngineBusy, LoadError, ModelNotFound, NoModelLoaded, NotEnoughMemory, UnsupportedModel
from tests import tiny_models
from tests.conftest import ask, exhaust

LONG = GenerationOptions(max_new_tokens=450, temperature=1.0)


def test_an_engine_without_a_model_reports_it(new_engine: Callable[..., Engine]) -> None:
    engine = new_engine()
    assert engine.status().state == "empty"
    with pytest.raises(NoModelLoaded):
        ask(engine, "hello")


def test_a_load_reports_its_stages_in_order(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    events = exhaust(new_engine().load(ModelSpec(str(llama_folder))))
    stages = list(dict.fromkeys(event.stage for event in events))      # type: ignore[attr-defined]
    assert stages == ["config", "tokenizer", "weights", "warm-up", "ready"]
    weights = [event for event in events if event.stage == "weights"]      # type: ignore[attr-defined]
    assert weights[-1].done == weights[-1].total > 0       # type: ignore[attr-defined]


@pytest.mark.parametrize("quantization", list(Quantization))
def test_every_quantization_generates_a_reply(new_engine: Callable[..., Engine], llama_folder: Path, quantization: Quantization) -> None:
    engine = new_engine(ModelSpec(str(llama_folder), quantization=quantization))
    assert engine.status().quantization is quantization
    assert ask(engine, "hello")[1].usage.new_tokens > 0


def test_quantized_weights_are_smaller(new_engine: Callable[..., Engine]) -> None:
    sizes = []
    for quantization in Quantization:
        engine = new_engine(ModelSpec("builtin", quantization=quantization))
        active_model = engine._model
        assert active_model is not None
        assert active_model.lane == "batched", active_model.lane_reason
        sizes.append(active_model.weight_bytes)
        engine.unload()
    assert sizes == sorted(sizes, reverse=True)


def test_a_swap_replaces_the_model(new_engine: Callable[..., Engine], llama_folder: Path, gpt2_folder: Path) -> None:
    engine = new_engine(llama_folder)
    events = exhaust(engine.load(ModelSpec(str(gpt2_folder))))
    stages = list(dict.fromkeys(event.stage for event in events))      # type: ignore[attr-defined]
    assert stages.index("unload") < stages.index("weights")
    assert engine.status().model == "tiny-gpt2"
    assert ask(engine, "hello")[1].usage.new_tokens > 0


def test_loading_the_loaded_model_changes_nothing(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine(llama_folder)
    before = engine._model
    exhaust(engine.load(ModelSpec(str(llama_folder))))
    assert engine._model is before


def test_a_load_continues_when_its_follower_leaves(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine()
    events = engine.load(ModelSpec(str(llama_folder)))
    next(events)
    events.close()      # type: ignore[attr-defined]
    job = engine._job
    assert job is not None
    exhaust(job.follow())
    assert engine.status().state == "ready"


def test_a_second_load_is_refused_while_one_runs(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine()
    job = engine.start_loading(ModelSpec(str(llama_folder)))
    with pytest.raises(EngineBusy):
        engine.start_loading(ModelSpec("builtin"))
    exhaust(job.follow())


@pytest.mark.parametrize("name", ["no-such-folder", "/no/such/folder", "../nothing", "a/b/c"])
def test_a_model_that_does_not_exist_is_refused_and_the_loaded_one_stays(llama_engine: Engine, name: str) -> None:
    with pytest.raises(ModelNotFound):
        exhaust(llama_engine.load(ModelSpec(name)))
    assert ask(llama_engine, "hello")[1].usage.new_tokens > 0
    assert "could not be loaded" in llama_engine.status().error


def test_a_model_without_safetensors_is_refused(llama_engine: Engine, llama_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(llama_folder, tmp_path / "m", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UnsupportedModel, match="safetensors"):
        exhaust(llama_engine.load(ModelSpec(str(tmp_path / "m"))))


def test_a_model_that_needs_its_own_code_is_refused_and_its_code_not_run(llama_engine: Engine, llama_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(llama_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mystery", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UnsupportedModel, match="never run"):
        exhaust(llama_engine.load(ModelSpec(str(folder))))
    assert not (tmp_path / "ran").exists()


def test_damaged_weights_are_an_error_and_the_previous_model_is_restored(
        new_engine: Callable[..., Engine], llama_folder: Path, tmp_path: Path) -> None:
    engine = new_engine(llama_folder)
    folder = tmp_path / "damaged"
    shutil.copytree(llama_folder, folder)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('broken') }}")        # shows itself only in the first reply
    events = []
    with pytest.raises(LoadError):
        for event in engine.load(ModelSpec(str(folder))):
            events.append(event.stage)
    assert "restore" in events
    assert engine.status().model == llama_folder.name
    assert ask(engine, "hello")[1].usage.new_tokens > 0


def test_a_truncated_file_is_refused_before_anything_is_unloaded(llama_engine: Engine, llama_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(llama_folder, folder)
    (folder / "model.safetensors").write_bytes(b"12")
    before = llama_engine._model
    with pytest.raises(UnsupportedModel, match="complete"):
        exhaust(llama_engine.load(ModelSpec(str(folder))))
    assert llama_engine._model is before


def test_a_model_that_does_not_fit_is_refused_before_anything_is_unloaded(llama_engine: Engine, llama_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "huge"
    shutil.copytree(llama_folder, folder)
    grow_vocabulary(folder, 200_000_000)
    before = llama_engine._model
    with pytest.raises(NotEnoughMemory, match="GiB"):
        exhaust(llama_engine.load(ModelSpec(str(folder))))
    assert llama_engine._model is before


def grow_vocabulary(folder: Path, words: int) -> None:
    """Claim this many tokens in config.json and in the header of the weights; their file becomes sparse (a hole of that size)."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": words}))
    path = folder / "model.safetensors"
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header, end = json.loads(path.read_bytes()[8:8 + size]), 0
    for name, tensor in header.items():
        if name != "__metadata__":
            if name in ("lm_head.weight", "model.embed_tokens.weight"):
                tensor["shape"][0] = words
            length = 4 * math.prod(tensor["shape"])
            tensor["data_offsets"], end = [end, end + length], end + length
    written = json.dumps(header).encode()
    path.write_bytes(len(written).to_bytes(8, "little") + written)
    os.truncate(path, 8 + len(written) + end)


def test_a_message_sent_while_loading_is_answered_afterwards(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine()
    engine.start_loading(ModelSpec(str(llama_folder)))
    events = list(engine.chat([Message("user", "hi")], GenerationOptions(max_new_tokens=8, temperature=0.0)))
    assert isinstance(events[0], Waiting)
    assert isinstance(events[-1], Finished)


def test_a_message_after_a_failed_first_load_gets_the_reason(new_engine: Callable[..., Engine]) -> None:
    engine = new_engine()
    engine.start_loading(ModelSpec("/no/such/folder"))
    with pytest.raises(NoModelLoaded, match="/no/such/folder"):
        ask(engine, "hello")


def test_more_long_replies_than_the_cache_holds_all_finish(
        new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path) -> None:
    engine = new_engine(llama_folder, made_with=replace(settings, concurrent_replies=1))
    expected = [ask(engine, f"story {i}", max_new_tokens=300)[0] for i in range(4)]
    results: dict[int, str] = {}
    threads = [threading.Thread(target=lambda i=i: results.update({i: ask(engine, f"story {i}", max_new_tokens=300)[0]}))
               for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [results.get(i) for i in range(4)] == expected


def test_unload_waits_for_running_replies(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine(llama_folder)
    results: list[Finished] = []
    began = threading.Event()

    def talk() -> None:
        for event in engine.chat([Message("user", "hi")], GenerationOptions(max_new_tokens=100, temperature=0.0)):
            began.set()
            if isinstance(event, Finished):
                results.append(event)

    thread = threading.Thread(target=talk)
    thread.start()
    began.wait(10)
    engine.unload()
    thread.join(10)
    assert results[0].reason in ("length", "stop")


def test_a_reply_that_takes_too_long_is_stopped_by_unload(
        new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path) -> None:
    engine = new_engine(llama_folder, made_with=replace(settings, drain_timeout_s=0))
    events = engine.chat([Message("user", "hi")], LONG)
    next(event for event in events if isinstance(event, TextDelta))
    finished: list[object] = []
    thread = threading.Thread(target=lambda: finished.extend(events))
    thread.start()
    engine.unload()
    thread.join(10)
    assert isinstance(finished[-1], Finished)
    assert finished[-1].reason == "stopped"
    with pytest.raises(NoModelLoaded):
        ask(engine, "hello")


def test_unload_measures_the_freed_memory(new_engine: Callable[..., Engine]) -> None:
    released = new_engine("builtin").unload()
    assert released.expected_bytes > 9_000_000
    assert released.returned_bytes > 0
    assert released.seconds > 0


SWAPS = """
import sys
from pathlib import Path
import psutil
from engine import Engine, GenerationOptions, ModelSpec, Quantization, Settings
engine = Engine(Settings(device="cpu", data_dir=Path(sys.argv[1])))
for i in range(20):
    list(engine.load(ModelSpec("builtin", quantization=list(Quantization)[i % 3])))
    engine.ask("hello", GenerationOptions(max_new_tokens=8, temperature=0.0))
    print(psutil.Process().memory_info().rss, flush=True)
engine.close()
"""


def test_twenty_swaps_do_not_grow_memory(tmp_path: Path) -> None:
    """Run in a separate process: engines of other tests, which live until their module ends, would be part of the numbers."""
    command = [sys.executable, "-W", "ignore", "-c", SWAPS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=True)
    sizes = [int(line) for line in done.stdout.split()]
    assert len(sizes) == 20
    assert max(sizes[3:]) - sizes[2] < 50e6, " ".join(f"{size // 1_000_000}" for size in sizes)


def test_public_mode_refuses_folders_and_many_replies(new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path) -> None:
    engine = new_engine("builtin", made_with=replace(settings, is_public=True, max_waiting=1))
    with pytest.raises(EngineError):
        exhaust(engine.load(ModelSpec(str(llama_folder))))
    first = engine.chat([Message("user", "hello")], GenerationOptions(max_new_tokens=300, temperature=0.0))
    next(first)
    with pytest.raises(EngineBusy):
        ask(engine, "hello")
    first.close()       # type: ignore[attr-defined]
    assert ask(engine, "hello")[0]


def test_a_template_error_is_typed_and_the_next_message_works(new_engine: Callable[..., Engine], tmp_path: Path) -> None:
    template = tiny_models.CHATML + "{%- if messages[0]['content'] == 'bad' -%}{{- raise_exception('refused') -}}{%- endif -%}"
    engine = new_engine(tiny_models.llama(tmp_path / "picky", template=template))
    with pytest.raises(EngineError, match="refused"):
        ask(engine, "bad")
    assert ask(engine, "good")[1].usage.new_tokens > 0
