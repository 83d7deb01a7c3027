import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Settings, estimate_fit
from engine.errors import InvalidRequest, ModelNotFound, UnsupportedModel
from engine.hardware import Hardware
from engine.models.bandwidth import copy_bandwidth
from engine.models.estimate import estimate_shape, find_shape
from engine.models.fit import __main__ as command
from engine.models.memory_peak import PeakWatch
from engine.models.quantization import Quantization
from engine.storage.database import Database
from engine.storage.loads import LoadHistory, MeasuredPeak

from .test_memory import CPU, GIB, LLAMA_7B

ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    return Settings(device="cpu", data_dir=tmp_path / "data")


def test_every_quantization_is_judged(llama_folder: Path, empty: Settings) -> None:
    model_fit = estimate_fit(str(llama_folder), context_tokens=256, visitors=2, settings=empty, hardware=CPU)
    assert [choice.quantization for choice in model_fit.choices] == list(Quantization)
    assert all(choice.fit.kv_bytes > 0 and choice.load_peak_bytes > choice.fit.weight_bytes for choice in model_fit.choices)
    assert model_fit.shape.parameters > 100_000


def test_the_context_is_at_most_the_one_that_the_model_was_made_for(llama_folder: Path, empty: Settings) -> None:
    model_fit = estimate_fit(str(llama_folder), context_tokens=100_000, settings=empty, hardware=CPU)
    assert model_fit.context_tokens == 512
    assert all(choice.largest_context == 512 for choice in model_fit.choices)


def test_an_estimate_writes_no_database(llama_folder: Path, empty: Settings) -> None:
    estimate_fit(str(llama_folder), settings=empty, hardware=CPU)
    assert not empty.data_dir.exists()


def test_the_measured_peak_of_an_earlier_load_is_shown_and_corrects_the_estimate(llama_folder: Path, empty: Settings) -> None:
    before = estimate_fit(str(llama_folder), settings=empty, hardware=CPU).choices[-1]
    peak = MeasuredPeak(before.fit.loaded_bytes + 200_000_000, context_tokens=512, visitors=1)
    LoadHistory(Database(empty.data_dir)).add_peak(str(llama_folder), "nf4", CPU.name, peak)
    none, *_, after = estimate_fit(str(llama_folder), settings=empty, hardware=CPU).choices
    assert none.measured_peak_bytes is None
    assert after.measured_peak_bytes == peak.peak_bytes
    assert after.fit.total_bytes - before.fit.total_bytes == 200_000_000


def test_the_latest_peak_of_a_model_is_remembered(empty: Settings) -> None:
    history, first, second = LoadHistory(Database(empty.data_dir)), MeasuredPeak(10, 512, 1), MeasuredPeak(20, 4096, 4)
    assert history.last_peak("m", "nf4", "cpu") is None
    history.add_peak("m", "nf4", "cpu", first)
    history.add_peak("m", "nf4", "cpu", second)
    assert history.last_peak("m", "nf4", "cpu") == second
    assert history.last_peak("m", "int8", "cpu") is None


def test_what_is_not_possible_here_is_reported() -> None:
    elsewhere = replace(CPU, is_x86_64=False)
    model_fit = estimate_shape(LLAMA_7B, elsewhere, context_tokens=4096, visitors=1, free_bytes=64 * GIB, bandwidth=30e9)
    assert [choice.is_supported for choice in model_fit.choices] == [True, False, False, False]


def test_twice_the_bandwidth_nearly_doubles_the_speed_of_a_large_model() -> None:
    slow, fast = (estimate_shape(LLAMA_7B, CPU, context_tokens=512, visitors=1, free_bytes=64 * GIB, bandwidth=bandwidth).choices[0]
                  for bandwidth in (20e9, 40e9))
    assert 1.8 < fast.tokens_per_second / slow.tokens_per_second < 2


def test_a_longer_window_is_slower() -> None:
    short, long = (estimate_shape(LLAMA_7B, CPU, context_tokens=tokens, visitors=1, free_bytes=64 * GIB, bandwidth=30e9).choices[0]
                   for tokens in (512, 4096))
    assert long.tokens_per_second < short.tokens_per_second


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all"])
def test_a_path_that_does_not_exist_is_not_looked_up_on_the_hub(name: str, empty: Settings) -> None:
    with pytest.raises(ModelNotFound):
        find_shape(name, empty)


def test_a_public_page_reads_no_folder(llama_folder: Path, empty: Settings) -> None:
    with pytest.raises(InvalidRequest):
        find_shape(str(llama_folder), replace(empty, is_public=True))


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_folder_without_a_configuration_is_refused(text: str | None, tmp_path: Path, empty: Settings) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(UnsupportedModel, match=r"config\.json"):
        find_shape(str(tmp_path), empty)


def test_zero_tokens_and_zero_visitors_are_refused(empty: Settings) -> None:
    with pytest.raises(InvalidRequest, match="context"):
        estimate_fit("builtin", context_tokens=0, settings=empty)
    with pytest.raises(InvalidRequest, match="visitors"):
        estimate_fit("builtin", visitors=0, settings=empty)


def test_the_command_prints_bytes(llama_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(llama_folder), "--context", "256", "--visitors", "4", "--device", "cpu", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["context_tokens"], printed["visitors"]) == (256, 4)
    for choice in printed["quantizations"].values():
        after = choice["weights"] + choice["file_pages"] + choice["cache"] + choice["overhead"]
        assert choice["total"] == max(choice["load_peak"], after)
        assert choice["verdict"] == "fits"


def test_the_command_prints_a_table(llama_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(llama_folder), "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(Quantization)


def test_a_bad_name_ends_the_command_with_one_line() -> None:
    run = subprocess.run([sys.executable, "-m", "engine.models.fit", "./nowhere"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "./nowhere" in run.stderr


def test_bandwidth_is_measured_quickly_and_once() -> None:
    machine = Hardware("cpu", "another", 1, "float32", "", GIB, True)
    started = time.perf_counter()
    first = copy_bandwidth(machine)
    assert time.perf_counter() - started < 3        # 0.3 s on a machine with nothing else to do
    assert first > 1e8
    assert copy_bandwidth(machine) == first


def test_a_peak_that_is_over_before_the_end_is_measured() -> None:
    with PeakWatch(CPU) as watch:
        block = bytearray(200_000_000)
        time.sleep(0.2)
        del block
    assert watch.peak_bytes > 190_000_000


def test_measuring_the_peak_ends_with_a_failed_load() -> None:
    watch = PeakWatch(CPU)
    with pytest.raises(ValueError, match="broken"), watch:
        raise ValueError("broken")
    assert not watch._thread.is_alive()
