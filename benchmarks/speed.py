"""Compares the speed of the engine with that of other programs, with the same weights on the same machine, in one run.

    python -m benchmarks.make_model bench-models/110m
    python -m benchmarks.speed [--model bench-models/110m] [--short] [--busy] [--out docs/benchmarks/speed.json]

The others (peers.py): `transformers serve` in both of its modes, and llama.cpp. Each program runs alone in a process of its own. Our
engine is called directly, as by the page; the others over HTTP with streaming, and llama.cpp in its process too. Decoding is greedy
and the model never ends a reply, so all replies have a fixed length. Prompts are unique, so that no cache helps, except in the growing
chat, whose turns share the earlier messages. TTFT (time to first token) is the time from the request to the first streamed text.

Ours is also measured with eight replies of which one or all have a penalty, or a seed. `--busy` measures instead, beside two programs
that do nothing but count, how ours compares with a fixed number of threads.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import queue
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engine import Quantization
from engine.hardware import Hardware, detect

from .busy import busy, fix_threads
from .peers import WINDOW, Absent, Chat, Stream, gguf_of, llama_bench, llama_server, transformers_serve

USERS, TURNS = 8, 6
PENALTY, SEED = {"repetition_penalty": 1.2, "presence_penalty": 0.5}, {"temperature": 0.8, "seed": 1}
# What differs in the eight replies: (name, options, for how many of them)
VARIANTS = (("penalties for one", PENALTY, 1), ("penalties for all", PENALTY, USERS), ("a seed for one", SEED, 1),
            ("a seed for all", SEED, USERS))
BUSY_PROGRAMS = 2


@dataclass(frozen=True, slots=True)
class Lengths:
    """In tokens; `prompt_words`: of the prompt whose reading is timed, about 3.5 tokens each."""

    new: int = 96
    turn: int = 64
    prompt_words: int = 150
    repeats: int = 2


SHORT = Lengths(12, 8, 40, 1)


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of one program: rates in tokens per second, times in seconds. None: not measured.

    `variants`: rate of eight users over that of eight plain ones.
    """

    name: str
    one_user: float
    prompt_s: float
    eight_users: float | None = None
    eight_slowest_ttft: float | None = None
    turn_ttft: list[float] = field(default_factory=list)
    variants: dict[str, float] = field(default_factory=dict)


def words(seed: int, count: int) -> str:
    """Return invented words that no other seed has."""
    return " ".join(f"ka{seed}ro{i * 7 % 13}mi" for i in range(count))


def asked(seed: int, count: int) -> Chat:
    return [{"role": "user", "content": words(seed, count)}]


def timed(stream: Stream, chat: Chat, tokens: int) -> tuple[float, float, str]:
    """Return the TTFT, the time of the whole reply, and its text."""
    started, first, pieces = time.perf_counter(), 0.0, []
    for piece in stream(chat, tokens):
        first = first or time.perf_counter() - started
        pieces.append(piece)
    return first, time.perf_counter() - started, "".join(pieces)


def one_user(stream: Stream, lengths: Lengths) -> float:
    """Return the tokens per second after the first token, as the mean of several replies (tg of llama-bench)."""
    rates = []
    for i in range(lengths.repeats):
        first, whole, _ = timed(stream, asked(100 + i, 20), lengths.new)
        rates.append((lengths.new - 1) / (whole - first))
    return statistics.mean(rates)


def reading(stream: Stream, lengths: Lengths) -> float:
    """Return the TTFT of a long prompt: pp of llama-bench, but for one token, and as a time."""
    return min(timed(stream, asked(150 + i, lengths.prompt_words), 2)[0] for i in range(lengths.repeats + 1))


def eight_users(streams: Sequence[Stream], lengths: Lengths, seed: int = 200) -> tuple[float, float]:
    """Return the tokens per second of all users together over the whole time, and the highest TTFT."""
    results: list[tuple[float, float, str]] = []
    threads = [threading.Thread(target=lambda i=i, stream=stream: results.append(timed(stream, asked(seed + i, 20), lengths.new)))
               for i, stream in enumerate(streams)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(streams) * lengths.new / (time.perf_counter() - started), max(first for first, _, _ in results)


def growing_chat(stream: Stream, lengths: Lengths) -> list[float]:
    """Return the TTFT of each turn of one chat."""
    chat: Chat = []
    ttft = []
    for turn in range(TURNS):
        chat += asked(300 + turn, 12)
        first, _, text = timed(stream, chat, lengths.turn)
        ttft.append(first)
        chat.append({"role": "assistant", "content": text})
    return ttft


def measure(name: str, stream: Stream, lengths: Lengths, variant: Callable[[dict[str, Any]], Stream] | None = None) -> Measured:
    timed(stream, asked(0, 3), 16)
    eight_users([stream] * USERS, replace(lengths, new=4), 50)
    single, prompt_s = one_user(stream, lengths), reading(stream, lengths)
    together, slowest = eight_users([stream] * USERS, lengths)
    turns = growing_chat(stream, lengths)
    variants = {}
    for number, (kind, options, count) in enumerate(VARIANTS):
        if variant is None:
            break
        plain, _ = eight_users([stream] * USERS, lengths, 400 + 20 * number)        # again, because the machine's speed varies
        mixed = [variant(options)] * count + [stream] * (USERS - count)
        variants[kind] = eight_users(mixed, lengths, 410 + 20 * number)[0] / plain
    return Measured(name, single, prompt_s, together, slowest, turns, variants)


def ours(model: str, quantization: str, lengths: Lengths, threads: int, results: Any) -> None:
    """Measure our engine in this process, and put the result into `results`. threads: 0 for as many as it chooses."""
    from engine import Engine, Finished, GenerationOptions, Message, ModelSpec, Settings, TextDelta

    if threads:
        fix_threads(threads)
    engine = Engine(Settings(context_tokens=WINDOW))
    for _ in engine.load(ModelSpec(model, quantization=Quantization.parse(quantization))):
        pass

    def variant(options: dict[str, Any]) -> Stream:
        def stream(chat: Chat, tokens: int) -> Iterator[str]:
            messages = [Message(turn["role"], turn["content"]) for turn in chat]       # type: ignore[arg-type]
            given = {"max_new_tokens": tokens, "temperature": 0.0, "ignores_end": True, **options}
            for event in engine.chat(messages, GenerationOptions(**given)):
                if isinstance(event, TextDelta):
                    yield event.text
                elif isinstance(event, Finished):
                    assert event.usage.new_tokens == tokens, event
        return stream

    name = f"MindCubes, {threads} thread{'s' * (threads > 1)}" if threads else "MindCubes"
    results.put(measure(name, variant({}), lengths, None if threads else variant))
    engine.close()


def in_process(function: Callable[..., None], *arguments: Any) -> Measured:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=function, args=(*arguments, results))
    process.start()
    while True:
        try:
            measured: Measured = results.get(timeout=1)
            break
        except queue.Empty:
            if not process.is_alive():
                raise SystemExit(f"{function.__name__} ended without a result") from None
    process.join(30)
    process.kill()
    return measured


def llama(gguf: Path, lengths: Lengths, prompt_tokens: int, results: Any) -> None:
    read, written = llama_bench(gguf, prompt_tokens, lengths.new, lengths.repeats)
    results.put(Measured("llama.cpp, in its process", written, prompt_tokens / read))


def peers(model: str, is_4bit: bool, lengths: Lengths) -> Iterator[Measured]:
    flags = ("--quantization", "bnb-4bit") if is_4bit else ()

    def served(name: str, serving: AbstractContextManager[Stream]) -> Measured:
        with serving as stream:
            return measure(name, stream, lengths)

    runs: dict[str, Callable[[str], Measured]] = {
        "transformers serve": lambda name: served(name, transformers_serve(model, *flags)),
        "transformers serve, batching": lambda name: served(name, transformers_serve(model, "--continuous-batching", *flags)),
        "llama.cpp, its server": lambda name: served(name, llama_server(gguf_of(model, is_4bit))),
        "llama.cpp": lambda name: in_process(llama, gguf_of(model, is_4bit), lengths, num_tokens(model, lengths))}
    for name, run in runs.items():
        try:
            yield run(name)
        except Absent as absent:
            print(f"{name} is left out: {absent}", flush=True)


def num_tokens(model: str, lengths: Lengths) -> int:
    """Tokens of the prompt whose reading is timed."""
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(model).apply_chat_template(
        asked(150, lengths.prompt_words), add_generation_prompt=True, return_dict=True)["input_ids"])


def show(rows: Sequence[Measured], title: str, prompt_tokens: int) -> None:
    print(f"\n{title}\n| | one user, tok/s | eight users, tok/s | prompt of {prompt_tokens}, tok/s | slowest first token, s | "
          f"first token of turns 1-{TURNS}, s |\n|---|---|---|---|---|---|")
    for row in rows:
        turns = " ".join(f"{value:.2f}" for value in row.turn_ttft)
        print(f"| {row.name} | {row.one_user:.1f} | {_text(row.eight_users, '.1f')} | {prompt_tokens / row.prompt_s:.0f} | "
              f"{_text(row.eight_slowest_ttft, '.2f')} | {turns} |")
    mine = rows[0]
    print(f"\n| {mine.name} over | one user | eight users | prompt | slowest first token, sooner | first token of turn 6, sooner |\n"
          "|---|---|---|---|---|---|")
    for row in rows[1:]:
        print(f"| {row.name} | {mine.one_user / row.one_user:.2f}x | {_ratio(mine.eight_users, row.eight_users)} | "
              f"{row.prompt_s / mine.prompt_s:.2f}x | {_ratio(row.eight_slowest_ttft, mine.eight_slowest_ttft)} | "
              f"{_ratio(row.turn_ttft[-1], mine.turn_ttft[-1]) if row.turn_ttft else ''} |")
    print(f"\nfirst token, turn 6 over turn 2: {mine.turn_ttft[5] / mine.turn_ttft[1]:.2f}x (target: at most 1.5x); "
          f"eight users over one: {_ratio(mine.eight_users, mine.one_user)}")
    for kind, share in mine.variants.items():
        print(f"eight users, {kind}: {share:.2f}x the speed without")


def _ratio(one: float | None, other: float | None) -> str:
    return f"{one / other:.2f}x" if one and other else ""


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def measure_kinds(model: str, lengths: Lengths, hardware: Hardware) -> dict[str, list[Measured]]:
    kinds = [each for each in Quantization if each is Quantization.NONE or each.bytes_per_weight(hardware) < 1]
    tables = {}
    for kind in kinds:
        tables[str(kind)] = [in_process(ours, model, kind, lengths, 0), *peers(model, kind is not Quantization.NONE, lengths)]
        show(tables[str(kind)], "not quantized" if kind is Quantization.NONE else kind.upper(), num_tokens(model, lengths))
    print("\nTargets: one user 1.0x the better mode of transformers serve; eight users 4x its default mode and 1.7x its batching mode; "
          "first token of turn 6 5x sooner than its default mode.")
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--short", action="store_true", help="few tokens, to test this script")
    parser.add_argument("--busy", action="store_true", help="beside two busy programs, against fixed numbers of threads")
    options = parser.parse_args()
    lengths, hardware = SHORT if options.short else Lengths(), detect()
    if options.busy:
        with busy(BUSY_PROGRAMS):
            tables = {"busy": [in_process(ours, options.model, "none", lengths, threads) for threads in (0, 1, hardware.cores)]}
        show(tables["busy"], f"beside {BUSY_PROGRAMS} busy programs", num_tokens(options.model, lengths))
    else:
        tables = measure_kinds(options.model, lengths, hardware)
    if options.out:
        machine = {"machine": hardware.name, "python": platform.python_version(), "at": time.strftime("%Y-%m-%d")}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({**machine, **{k: [asdict(row) for row in rows] for k, rows in tables.items()}}, indent=1))


if __name__ == "__main__":
    main()
