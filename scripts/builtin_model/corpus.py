"""The training corpus of the built-in model: short exchanges made from the topics and program tasks of this folder.

All random choices come from a seeded generator, so the corpus is reproducible. The phrasings, openings, endings and values that are
held out for the evaluation are never used for training.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import phrasing
from .phrasing import Language
from .programs import numbers, texts
from .programs.task import Split, Task, draw, fill
from .repairs import break_program

TASKS: tuple[Task, ...] = numbers.TASKS + texts.TASKS
LANGUAGES: tuple[Language, ...] = ("en", "tr")
INTRO = {"en": "Here is the program:", "tr": "İşte program:"}
FIXED = {"en": "Here is the corrected program:", "tr": "İşte düzeltilmiş program:"}
SYSTEM_PROMPTS = (
    "You are a helpful assistant.", "You are the guide of MindCubes.", "Answer briefly and clearly.",
    "Write Python code. Reply with one program in a fenced block.", "Sen yardımcı bir asistansın.",
    "Kısa ve açık cevap ver.", "Be concise.", "You write and run Python programs to solve the task.",
)
REPORTS = {
    "en": ("i get this error:", "it fails:", "running it gives:", "fix this error:", "the program does not work:",
           "i ran it and got:", "error:", "that did not work, the output is:", "please correct it:"),
    "tr": ("şu hatayı alıyorum:", "çalışmadı:", "çalıştırınca şu çıktı:", "bu hatayı düzelt:", "program çalışmıyor:",
           "hata:", "denedim ama olmadı:", "lütfen düzelt:", "şu hata çıktı:"),
}
REPORTS_HELDOUT = {"en": ("i ran the program and it fails:", "please fix this error:"),
                   "tr": ("programı çalıştırınca hata çıktı:", "lütfen bu hatayı düzelt:")}


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    language: Language
    answer: str
    facts: tuple[tuple[str, ...], ...]      # every fact is required, in one of its forms
    ask: tuple[str, ...]
    heldout: tuple[str, ...]
    slots: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange. `context`: earlier (question, reply) pairs, which are input only and not part of the loss."""

    question: str
    reply: str
    context: tuple[tuple[str, str], ...] = ()
    facts: tuple[tuple[str, ...], ...] = ()
    program: str | None = None
    kind: str = ""


def load_topics() -> list[Topic]:
    topics = []
    for path in sorted((Path(__file__).parent / "answers").glob("*.toml")):
        for entry in tomllib.loads(path.read_text("utf-8"))["topic"]:
            for language in LANGUAGES:
                part = entry[language]
                facts = tuple(tuple([fact] if isinstance(fact, str) else fact) for fact in part["facts"])
                topics.append(Topic(entry["id"], language, part["answer"], facts, tuple(part["ask"]),
                                    tuple(part["heldout"]), entry.get("slots", {})))
    return topics


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def answer_turn(topic: Topic, split: Split, rng: random.Random) -> Turn:
    core = rng.choice(topic.ask if split == "train" else topic.heldout)
    values = {name: rng.choice(all_values[:-2] if split == "train" else all_values[-2:])
              for name, all_values in topic.slots.items()}
    asked = fill(phrasing.question(core, topic.language, split, rng), values)
    facts = tuple(tuple(fill(form, values) for form in forms) for forms in topic.facts)
    return Turn(asked, fill(topic.answer, values), facts=facts, kind=f"answer {topic.language}")


def program_turn(task: Task, language: Language, split: Split, rng: random.Random) -> Turn:
    phrases = getattr(task, language if split == "train" else f"{language}_heldout")
    values = draw(task, rng, split)
    code = fill(task.code, values).strip()
    asked = fill(phrasing.request(phrases, language, split, rng), values)
    return Turn(asked, f"{INTRO[language]}\n\n{fenced(code)}", program=code, kind=f"program {language}")


def repair_turn(task: Task, language: Language, split: Split, rng: random.Random) -> Turn | None:
    first = program_turn(task, language, split, rng)
    assert first.program is not None
    broken = break_program(first.program, rng)
    if broken is None:
        return None
    report = rng.choice(REPORTS[language] if split == "train" else REPORTS_HELDOUT[language])
    shown = f"{report}\n```\n{broken[1]}\n```" if rng.random() < 0.5 else f"{report}\n{broken[1]}"
    reply = f"{FIXED[language]}\n\n{fenced(first.program)}"
    kind = f"repair {language}"
    if rng.random() < 0.6:
        said = f"{INTRO[language]}\n\n{fenced(broken[0])}"
        return Turn(shown, reply, ((first.question, said),), program=first.program, kind=kind)
    question = f"{first.question}\n\n{fenced(broken[0])}\n\n{shown}"
    return Turn(question, reply, program=first.program, kind=kind)


def turns(split: Split, seed: int) -> Iterator[Turn]:
    """Yield exchanges without end: 58 % answers, 37 % programs, 5 % repairs."""
    rng = random.Random(seed)
    topics = load_topics()
    weights = [max(1.0, len(topic.ask) / 20) for topic in topics]
    while True:
        draw_kind = rng.random()
        if draw_kind < 0.58:
            yield answer_turn(rng.choices(topics, weights)[0], split, rng)
            continue
        task, language = rng.choice(TASKS), rng.choice(LANGUAGES)
        if draw_kind < 0.95:
            yield program_turn(task, language, split, rng)
        elif (turn := repair_turn(task, language, split, rng)) is not None:
            yield turn


def messages(turn: Turn) -> list[dict[str, str]]:
    """Return the exchange as chat messages, without its reply."""
    pairs = [{"role": role, "content": text}
             for asked, said in turn.context for role, text in (("user", asked), ("assistant", said))]
    return [*pairs, {"role": "user", "content": turn.question}]
