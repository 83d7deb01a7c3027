"""Compares the speed of the engine with that of `transformers serve`, with the same weights on the same machine, in one run.

    python -m benchmarks.make_model bench-models/110m
    python -m benchmarks.speed [--model bench-models/110m] [--out docs/benchmarks/speed.json]

Each of the two runs alone in a separate process. Our engine is called directly, as by the page; the peer is called through its HTTP
API with streaming. Decoding is greedy and the model never ends a reply, so all replies have a fixed length. Prompts are unique, so
that no cache helps, except in the growing chat, whose turns share the earlier messages. TTFT (time to first token) is the time from
the request to the first streamed text.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

Chat = list[dict[str, str]]
# Streams one reply as pieces of text. The second argument is its length in tokens.
Stream = Callable[[Chat, int], Iterator[str]]
NEW_TOKENS, USERS, TURNS, TURN_TOKENS = 96, 8, 6, 64
REPEATS = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of one engine: rates in tokens per second, times in seconds."""

    name: str
    one_user: float
    eight_users: float
    eight_slowest_ttft: float
    turn_ttft: list[float]


def words(seed: int, count: int) -> str:
    """Return invented words that no other seed has."""
    return " ".join(f"ka{seed}ro{i * 7 % 13}mi" for i in range(count))


def timed(stream: Stream, chat: Chat, tokens: int) -> tuple[float, float, str]:
    """Return the TTFT, the time of the whole reply, and its text."""
    started, first, pieces = time.perf_counter(), 0.0, []
    for piece in stream(chat, tokens):
        first = first or time.perf_counter() - started
        pieces.append(piece)
    return first, time.perf_counter() - started, "".join(pieces)


def one_user(stream: Stream) -> float:
    """Return the tokens per second after the first token, as the mean of several replies (tg of llama-bench)."""
    rates = []
    for i in range(REPEATS):
        first, whole, _ = timed(stream, [{"role": "user", "content": words(100 + i, 20)}], NEW_TOKENS)
        rates.append((NEW_TOKENS - 1) / (whole - first))
    return statistics.mean(rates)


def eight_users(stream: Stream) -> tuple[float, float]:
    """Return the tokens per second of all users together over the whole time, and the highest TTFT."""
    results: list[tuple[float, float, str]] = []
    threads = [threading.Thread(target=lambda i=i: results.append(
        timed(stream, [{"role": "user", "content": words(200 + i, 20)}], NEW_TOKENS))) for i in range(USERS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return USERS * NEW_TOKENS / (time.perf_counter() - started), max(first for first, _, _ in results)


def growing_chat(stream: Stream) -> list[float]:
    """Return the TTFT of each turn of one chat."""
    chat: Chat = []
    ttft = []
    for turn in range(TURNS):
        chat.append({"role": "user", "content": words(300 + turn, 12)})
        first, _, text = timed(stream, chat, TURN_TOKENS)
        ttft.append(first)
        chat.append({"role": "assistant", "content": text})
    return ttft


def measure(name: str, stream: Stream) -> Measured:
    timed(stream, [{"role": "user", "content": "warm up"}], 16)
    single = one_user(stream)
    together, slowest = eight_users(stream)
    return Measured(name, single, together, slowest, growing_chat(stream))


def ours(model: str, quantization: str, name: str, results: Any) -> None:
    """Measure our engine, and put the result into `results`. Runs in a separate process."""
    from engine import Engine, Finished, GenerationOptions, Message, ModelSpec, Quantization, Settings, TextDelta

    engine = Engine(Settings(context_tokens=2048))
    for _ in engine.load(ModelSpec(model, quantization=Quantization.parse(quantization))):
        pass

    def stream(chat: Chat, tokens: int) -> Iterator[str]:
        messages = [Message(turn["role"], turn["content"]) for turn in chat]       # type: ignore[arg-type]
        for event in engine.chat(messages, GenerationOptions(max_new_tokens=tokens, temperature=0.0)):
            if isinstance(event, TextDelta):
                yield event.text
            elif isinstance(event, Finished):
                assert event.usage.new_tokens == tokens, event

    results.put(measure(name, stream))
    engine.close()


@contextmanager
def serving(model: str, *flags: str) -> Iterator[str]:
    """Run `transformers serve` with this model until the block ends, and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", model, "--port", str(port), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"the peer ended at its start: {' '.join(command)}")
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def peer(model: str, name: str, *flags: str) -> Measured:
    with serving(str(Path(model).resolve()), *flags) as address, httpx.Client(timeout=600) as client:

        def stream(chat: Chat, tokens: int) -> Iterator[str]:
            body = {"model": str(Path(model).resolve()), "messages": chat, "stream": True, "max_tokens": tokens, "temperature": 0.0,
                    "generation_config": json.dumps({"do_sample": False, "max_new_tokens": tokens})}
            with client.stream("POST", f"{address}/v1/chat/completions", json=body) as response:
                if response.status_code != 200:
                    raise RuntimeError(response.read().decode()[:500])
                for line in response.iter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        choices = json.loads(line[6:]).get("choices") or [{}]
                        text = (choices[0].get("delta") or {}).get("content")
                        if text:
                            yield text

        return measure(name, stream)


def in_process(model: str, quantization: str, name: str) -> Measured:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=ours, args=(model, quantization, name, results))
    process.start()
    measured: Measured = results.get(timeout=900)
    process.join(30)
    process.kill()
    return measured


def show(rows: list[Measured], title: str) -> None:
    print(f"\n{title}\n| | one user, tok/s | eight users, tok/s | slowest first token, s | first token of turns 1-{TURNS}, s |")
    print("|---|---|---|---|---|")
    for row in rows:
        turns = " ".join(f"{value:.2f}" for value in row.turn_ttft)
        print(f"| {row.name} | {row.one_user:.1f} | {row.eight_users:.1f} | {row.eight_slowest_ttft:.2f} | {turns} |")
    mine, default, batching = rows
    print(f"one user: {mine.one_user / max(default.one_user, batching.one_user):.2f}x the better peer (target 1.0)")
    print(f"eight users: {mine.eight_users / default.eight_users:.2f}x the default peer (target 4), "
          f"{mine.eight_users / batching.eight_users:.2f}x the batching peer (target 1.7)")
    print(f"first token, turn 6 over turn 2: {mine.turn_ttft[5] / mine.turn_ttft[1]:.2f}x (target 1.5 at most); "
          f"turn 6, default peer over ours: {default.turn_ttft[5] / mine.turn_ttft[5]:.1f}x (target 5)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--skip-nf4", action="store_true")
    options = parser.parse_args()
    tables = {"bf16": [in_process(options.model, "none", "MindCubes"), peer(options.model, "transformers serve"),
                       peer(options.model, "transformers serve, batching", "--continuous-batching")]}
    show(tables["bf16"], "bf16")
    if not options.skip_nf4:
        nf4 = ("--quantization", "bnb-4bit")
        tables["nf4"] = [in_process(options.model, "nf4", "MindCubes, NF4"), peer(options.model, "transformers serve, 4-bit", *nf4),
                         peer(options.model, "transformers serve, 4-bit, batching", "--continuous-batching", *nf4)]
        show(tables["nf4"], "NF4")
    if options.out:
        from engine.hardware import detect

        machine = {"machine": detect().name, "python": platform.python_version(), "at": time.strftime("%Y-%m-%d")}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({**machine, **{k: [asdict(row) for row in rows] for k, rows in tables.items()}}, indent=1))


if __name__ == "__main__":
    main()
