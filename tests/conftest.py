"""Models are written once a session; an engine is shared by the tests of a module unless they break it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

# One thread for each process: several test workers share the cores, and threads that wait for each other there take many times longer.
os.environ.update(HF_HUB_OFFLINE="1", GRADIO_ANALYTICS_ENABLED="False", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")

import pytest

from engine import Engine, Finished, GenerationOptions, Message, ModelSpec, ReasoningDelta, Settings, TextDelta

from . import tiny_models

# Files that take longest. First, so that no worker has one of them left when the others have ended.
SLOW = ("browser/", "generation/test_families.py", "sandbox/test_wasm_attacks.py", "ui/test_requests.py", "finetune/test_fine_tunes.py",
        "runtime/test_engine.py", "test_docs_python.py", "tests/test_app.py", "finetune/test_script.py", "finetune/test_proof.py",
        "sandbox/test_wasm.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((at for at, name in enumerate(SLOW) if name in item.path.as_posix()), len(SLOW)))


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.llama(tmp_path_factory.mktemp("llama") / "tiny-llama")


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gpt2(tmp_path_factory.mktemp("gpt2") / "tiny-gpt2")


@pytest.fixture(scope="session")
def mamba_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.mamba(tmp_path_factory.mktemp("mamba") / "tiny-mamba")


@pytest.fixture(scope="session", autouse=True)
def quick_collections() -> None:
    """Keep the libraries out of garbage collection: scanning them took a second each time an engine was closed."""
    for name in ("torch", "transformers", "bitsandbytes", "gradio"):
        with suppress(ImportError):     # not on every machine
            import_module(name)
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(device="cpu", drain_timeout_s=5, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def new_engine(settings: Settings) -> Iterator[Callable[..., Engine]]:
    """Create engines with a loaded model; all are closed at the end of the module."""
    engines: list[Engine] = []

    def make(model: Path | str | ModelSpec | None = None, made_with: Settings = settings) -> Engine:
        engine = Engine(made_with)
        engines.append(engine)
        if model is not None:
            exhaust(engine.load(model if isinstance(model, ModelSpec) else ModelSpec(str(model))))
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def llama_engine(new_engine: Callable[..., Engine], llama_folder: Path) -> Engine:
    return new_engine(llama_folder)


@pytest.fixture(scope="session")
def builtin_engine(settings: Settings) -> Iterator[Engine]:
    engine = Engine(settings)
    exhaust(engine.load("builtin"))
    yield engine
    engine.close()


def exhaust(events: Iterator[object]) -> list[object]:
    return list(events)


def ask(engine: Engine, text: str, system: str = "", **options: object) -> tuple[str, Finished]:
    """Return the reply's text without thoughts, and its last event. Greedy by default."""
    messages = ([Message("system", system)] if system else []) + [Message("user", text)]
    events = list(engine.chat(messages, GenerationOptions(**{"temperature": 0.0, "max_new_tokens": 32, **options})))  # type: ignore[arg-type]
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), events[-1]


def thoughts(events: list[object]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))
