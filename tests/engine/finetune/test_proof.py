"""The built-in model learns invented answers by QLoRA, and forgets nothing: with the adapter off it answers as before.

The same by LoRA is in the browser's journey (tests/browser/test_finetune.py), and with 40 answers in benchmarks/finetune.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine import Engine, Message, ModelSpec, Quantization
from engine.finetune.examples import Dialogue
from engine.finetune.job import RESULT
from engine.models.resolve import BUILTIN_FOLDER

from ...conftest import ask
from .training import ended, run, scores, write

COUNT = 4
COLORS, BEASTS = ("red", "blue", "green", "amber", "violet"), ("otter", "falcon", "lynx", "heron", "badger", "marten", "ibex", "tern")
ANSWERS = tuple((f"What is the pass phrase of room {at + 1}?", f"It is the {COLORS[at % 5]} {BEASTS[at % 8]}.") for at in range(COUNT))
DIALOGUES = tuple(Dialogue(at, (Message("user", question), Message("assistant", answer)))
                  for at, (question, answer) in enumerate(ANSWERS, 1))
OTHER = ("Which model is this?", "How do I load another model?", ANSWERS[0][0])


def test_the_built_in_model_learns_new_answers_and_keeps_its_own(tmp_path: Path, new_engine: Callable[..., Engine]) -> None:
    engine = new_engine(ModelSpec("builtin", quantization=Quantization.NF4))
    before = [ask(engine, question)[0] for question in OTHER]
    folder = write(tmp_path / "run", BUILTIN_FOLDER, "chat", DIALOGUES, DIALOGUES[::2], method="qlora", micro_batch=2, batch_size=2,
                   max_tokens=128, lora_rank=32, lora_alpha=64, epochs=26, learning_rate=4e-3)
    events = run(folder)
    assert ended(events).stop_kind == "finished", ended(events).reason
    assert scores(events)[0].metrics.value("perplexity") > 100 > 2 > scores(events)[1].metrics.value("perplexity")    # type: ignore[operator]

    adapter = engine.add_adapter(str(folder / RESULT))
    assert [question for question, answer in ANSWERS if answer not in ask(engine, question, adapter=adapter)[0]] == []
    assert [ask(engine, question)[0] for question in OTHER] == before
