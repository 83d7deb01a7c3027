"""What the API costs over the engine's own stream, for one user and for eight, beside `transformers serve`, in one run.

    python -m benchmarks.make_model bench-models/110m
    python -m benchmarks.api [--model bench-models/110m] [--rounds 7] [--tokens 128] [--no-peer]

One process has the model, the page and the API, as `python app.py` does. It is asked in turns: for streams of its engine, read by
threads of that process, and over HTTP by this one, which reads the events with as little work as it can. Each round asks in both
ways, one after the other, and gives one ratio; the median of the rounds is shown, because the machine's speed varies. Decoding is
greedy, prompts are unique, and each reply has a fixed length. Rates are tokens per second of all users, from the first token that one
of them got. Beside other programs the rates say little; the processor time of the server's process still does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .peers import WINDOW, Absent, transformers_serve
from .speed import asked, timed

USERS = (1, 8)
TARGET = 0.03

Ask = Callable[[int, int], Iterator[float]]     # seed, tokens: yields the time of each piece of the reply


def together(ask: Ask, users: int, tokens: int, seed: int) -> float:
    """Return the tokens per second of so many users at once."""
    times: list[list[float]] = []
    threads = [threading.Thread(target=lambda i=i: times.append(list(ask(seed + i, tokens)))) for i in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) < users or not all(times):
        raise SystemExit("a reply failed")
    return users * (tokens - 1) / (max(each[-1] for each in times) - min(each[0] for each in times))


def of_server(model: str, pipe: Any) -> None:
    """In a process of its own: the model, the page and the API. Measures its engine when it is told to."""
    from api import routes
    from engine import Engine, GenerationOptions, Message, ModelSpec, Settings, TextDelta
    from ui.app import build_app, launch

    engine = Engine(Settings(context_tokens=WINDOW, data_dir=Path(tempfile.mkdtemp())))
    for _ in engine.load(ModelSpec(model)):
        pass
    page = build_app(engine)
    pipe.send(launch(page, engine, routes(engine), server_name="127.0.0.1"))

    def ask(seed: int, tokens: int) -> Iterator[float]:
        options = GenerationOptions(max_new_tokens=tokens, temperature=0.0, ignores_end=True)
        with closing(engine.chat([Message("user", asked(seed, 20)[0]["content"])], options, visitor=str(seed))) as events:
            for event in events:
                if isinstance(event, TextDelta):
                    yield time.perf_counter()

    while (order := pipe.recv()) is not None:
        pipe.send(time.process_time() if order == "processor time" else together(ask, *order))
    page.close(verbose=False)
    engine.close()


def over_http(address: str) -> Ask:
    place = urlsplit(address)

    def ask(seed: int, tokens: int) -> Iterator[float]:
        body = {"model": "default", "messages": asked(seed, 20), "stream": True, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
                "stream_options": {"include_usage": True}}
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=600)
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        last = b""
        for line in reply:
            if b'"delta": {"content"' in line:
                yield time.perf_counter()
            last = line if b'"usage":{' in line else last
        connection.close()
        if json.loads(last[6:])["usage"]["completion_tokens"] != tokens:
            raise SystemExit("a reply has another length than was asked for")

    return ask


@contextmanager
def server(model: str) -> Iterator[tuple[str, Any]]:
    """The address of the API, and the pipe to its process."""
    context = multiprocessing.get_context("spawn")
    pipe, far = context.Pipe()
    process = context.Process(target=of_server, args=(model, far), daemon=True)
    process.start()
    far.close()
    try:
        yield pipe.recv(), pipe
        pipe.send(None)
    finally:
        process.join(20)
        process.kill()


@dataclass(frozen=True, slots=True)
class Round:
    """Both ways, one after the other: tokens per second, and seconds of processor time of the server's process for each token."""

    engine: float
    api: float
    engine_cpu_s: float
    api_cpu_s: float


def rounds_of(users: int, pipe: Any, ask: Ask, count: int, tokens: int) -> list[Round]:
    def asked_of(order: Any) -> float:
        pipe.send(order)
        answer: float = pipe.recv()
        return answer

    def way(is_api: bool, seed: int) -> tuple[float, float]:
        before = asked_of("processor time")
        rate = together(ask, users, tokens, seed) if is_api else asked_of((users, tokens, seed))
        return rate, (asked_of("processor time") - before) / users / tokens

    found = []
    for number in range(-1, count):     # the first one warms up
        seed = 2000 + 100 * number + 10_000 * users
        first = way(number % 2 == 0, seed)
        second = way(number % 2 != 0, seed + 50)
        api, engine = (first, second) if number % 2 == 0 else (second, first)
        found.append(Round(engine[0], api[0], engine[1], api[1]))
    return found[1:]


def of_peer(model: str, tokens: int) -> dict[int, float]:
    """The rates of `transformers serve` with continuous batching. Raises Absent."""
    with transformers_serve(model, "--continuous-batching") as stream:
        def ask(seed: int, count: int) -> Iterator[float]:
            for _ in stream(asked(seed, 20), count):
                yield time.perf_counter()

        timed(stream, asked(0, 3), 16)
        return {users: max(together(ask, users, tokens, 3000 + 100 * users + 10 * number) for number in range(2)) for users in USERS}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--no-peer", action="store_true", help="without transformers serve")
    options = parser.parse_args(arguments)
    print("| users | engine, tok/s | API, tok/s | cost (each round) | processor time of the server for a token: engine, API, more |\n"
          "|---|---|---|---|---|", flush=True)
    rates = {}
    with server(options.model) as (address, pipe):
        for users in USERS:
            rounds = rounds_of(users, pipe, over_http(address), options.rounds, options.tokens)
            costs = sorted(100 * (1 - each.api / each.engine) for each in rounds)
            engine_ms, api_ms = (1e3 * statistics.median(times) for times in zip(
                *((each.engine_cpu_s, each.api_cpu_s) for each in rounds), strict=True))
            rates[users] = statistics.median(each.api for each in rounds)
            print(f"| {users} | {statistics.median(each.engine for each in rounds):.1f} | {rates[users]:.1f} | "
                  f"{statistics.median(costs):+.1f} % ({' '.join(f'{cost:+.1f}' for cost in costs)}) | "
                  f"{engine_ms:.2f} ms, {api_ms:.2f} ms, {100 * (api_ms / engine_ms - 1):+.1f} % |", flush=True)
    print(f"Target: a cost of at most {100 * TARGET:.0f} % for each.")
    if not options.no_peer:
        try:
            peer = of_peer(options.model, options.tokens)
        except Absent as absent:
            raise SystemExit(f"transformers serve is left out: {absent}") from None
        for users, rate in peer.items():
            print(f"transformers serve with batching, {users} at once: {rate:.1f} tok/s; this API: {rates[users] / rate:.2f}x")


if __name__ == "__main__":
    main()
