"""The model that ships with the app: its files, and a sample of its held-out evaluation through the engine."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import Engine, Finished, GenerationOptions, Message, TextDelta
from engine.models.resolve import BUILTIN_FOLDER
from scripts.builtin_model import corpus
from scripts.builtin_model.corpus import Turn
from scripts.builtin_model.evaluate import is_right
from tests.conftest import ask


def reply(engine: Engine, turn: Turn) -> tuple[str, Finished]:
    messages = [Message(message["role"], message["content"]) for message in corpus.messages(turn)]      # type: ignore[arg-type]
    events = list(engine.chat(messages, GenerationOptions(max_new_tokens=320, temperature=0.0)))
    finished = events[-1]
    assert isinstance(finished, Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), finished


def share_right(engine: Engine, turns: list[Turn]) -> float:
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda turn: reply(engine, turn)[0], turns))
    return sum(is_right(turn, text) for turn, text in zip(turns, replies, strict=True)) / len(turns)


def test_it_is_small() -> None:
    from transformers import AutoModelForCausalLM

    assert sum(path.stat().st_size for path in BUILTIN_FOLDER.iterdir()) < 9_500_000
    assert sum(parameter.numel() for parameter in AutoModelForCausalLM.from_pretrained(BUILTIN_FOLDER).parameters()) <= 4_500_000
    assert sorted(path.suffix for path in BUILTIN_FOLDER.iterdir() if path.suffix not in (".json", ".md", ".jinja")) == [".safetensors"]


def test_its_card_shows_its_evaluation() -> None:
    card = (BUILTIN_FOLDER / "README.md").read_text("utf-8")
    assert "| programs, all |" in card
    assert "| answers, all |" in card


@pytest.mark.parametrize("question", ["hello", "merhaba", "good morning"])
def test_it_greets_and_stops_by_itself(builtin_engine: Engine, question: str) -> None:
    text, finished = ask(builtin_engine, question, max_new_tokens=200)
    assert finished.reason == "stop"
    assert "MindCubes" in text


@pytest.mark.parametrize(("question", "fact"), [("who are you", "guide"), ("sen kimsin", "rehber")])
def test_it_says_what_it_is(builtin_engine: Engine, question: str, fact: str) -> None:
    assert fact in ask(builtin_engine, question, max_new_tokens=200)[0]


def test_held_out_programs(builtin_engine: Engine) -> None:
    rng = random.Random(11)
    turns = [corpus.program_turn(task, rng.choice(corpus.LANGUAGES), "heldout", rng) for task in rng.sample(corpus.TASKS, 40)]
    assert share_right(builtin_engine, turns) >= 0.8


def test_held_out_answers(builtin_engine: Engine) -> None:
    rng = random.Random(12)
    turns = [corpus.answer_turn(topic, "heldout", rng) for topic in rng.sample(corpus.load_topics(), 60)]
    assert share_right(builtin_engine, turns) >= 0.8


def test_the_corpus_covers_what_the_guide_promises() -> None:
    assert len({topic.name for topic in corpus.load_topics()}) >= 120
    assert len(corpus.TASKS) >= 60


def test_nothing_held_out_is_trained_on() -> None:
    from itertools import islice

    for topic in corpus.load_topics():
        assert not {text.lower() for text in topic.ask} & {text.lower() for text in topic.heldout}, topic.name
    for task in corpus.TASKS:
        for shape in ("does", "do", "thing"):
            assert not set(getattr(task.en, shape)) & set(getattr(task.en_heldout, shape)), task.name
            assert not set(getattr(task.tr, shape)) & set(getattr(task.tr_heldout, shape)), task.name
    seen = [turn.question for turn in islice(corpus.turns("train", 3), 2000)]
    assert len(set(seen)) > 1900
