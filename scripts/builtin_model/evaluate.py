"""Evaluates the built-in model on held-out questions, and writes the table into its model card.

    python -m scripts.builtin_model.evaluate engine/models/builtin --card

Programs are run and must print exactly what the reference program prints. An answer must contain all required facts. The phrasings,
openings, endings and values of these questions are held out from training. Decoding is greedy.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from . import corpus
from .corpus import Turn

MAX_NEW_TOKENS = 320
TIMEOUT_S = 10
TABLE = re.compile(r"<!-- evaluation -->.*?<!-- /evaluation -->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Result:
    turn: Turn
    reply: str
    is_right: bool


def questions(per_task: int, per_topic: int, seed: int = 20_000) -> list[Turn]:
    """Return held-out questions for every program task and every topic, in both languages."""
    rng = random.Random(seed)
    turns = [corpus.program_turn(task, language, "heldout", rng)
             for task in corpus.TASKS for language in corpus.LANGUAGES for _ in range(per_task)]
    turns += [corpus.answer_turn(topic, "heldout", rng) for topic in corpus.load_topics() for _ in range(per_topic)]
    repairs: list[Turn] = []
    while len(repairs) < 100:
        task, language = rng.choice(corpus.TASKS), rng.choice(corpus.LANGUAGES)
        if (turn := corpus.repair_turn(task, language, "heldout", rng)) is not None:
            repairs.append(turn)
    return turns + repairs


def answer(turns: Sequence[Turn], folder: Path, batch: int = 32) -> list[str]:
    tok = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    replies: dict[int, str] = {}
    order = sorted(range(len(turns)), key=lambda i: len(turns[i].question))
    for start in range(0, len(order), batch):
        chosen = order[start: start + batch]
        inputs = tok.apply_chat_template([corpus.messages(turns[i]) for i in chosen], add_generation_prompt=True,
                                         padding=True, return_tensors="pt", return_dict=True)
        output = model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        for i, ids in zip(chosen, output[:, inputs["input_ids"].shape[1]:], strict=True):
            replies[i] = tok.decode(ids, skip_special_tokens=True)
    return [replies[i] for i in range(len(turns))]


def printed(code: str) -> str | None:
    """Return the output of a program, or None if it fails."""
    try:
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def is_right(turn: Turn, reply: str) -> bool:
    if turn.program is None:
        return all(any(form.lower() in reply.lower() for form in forms) for forms in turn.facts)
    block = re.search(r"```python\n(.*?)```", reply, re.DOTALL)
    if block is None:
        return False
    if block[1].strip() == turn.program:
        return True
    return printed(block[1]) == printed(turn.program)


def table(results: Sequence[Result]) -> str:
    groups: dict[str, list[bool]] = defaultdict(list)
    for result in results:
        kind = result.turn.kind.split()[0]
        groups[f"{kind}s, all"].append(result.is_right)
        groups[result.turn.kind.replace(" en", "s, English").replace(" tr", "s, Turkish")].append(result.is_right)
    rows = [f"| {name} | {sum(right)} / {len(right)} | {100 * sum(right) / len(right):.1f} % |" for name, right in sorted(groups.items())]
    return "\n".join(["| held-out set | right | share |", "|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-task", type=int, default=3)
    parser.add_argument("--per-topic", type=int, default=2)
    parser.add_argument("--card", action="store_true", help="write the table into the model card")
    parser.add_argument("--misses", type=int, default=0, help="print this many wrong replies")
    options = parser.parse_args()
    turns = questions(options.per_task, options.per_topic)
    results = [Result(turn, reply, is_right(turn, reply))
               for turn, reply in zip(turns, answer(turns, options.folder), strict=True)]
    print(shown := table(results))
    for result in [result for result in results if not result.is_right][: options.misses]:
        print(f"\n--- {result.turn.kind}: {result.turn.question}\n    >>> {result.reply}\n    wanted: {result.turn.reply}")
    if options.card:
        card = options.folder / "README.md"
        card.write_text(TABLE.sub(lambda _: f"<!-- evaluation -->\n{shown}\n<!-- /evaluation -->", card.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
