"""Many visitors of one model at once, over the API: whether each gets a fair share, only honest refusals, and no growing memory.

    python -m benchmarks.visitors                                  50 visitors, five minutes, the built-in model
    python -m benchmarks.visitors --visitors 20 --minutes 1 --model bench-models/110m

The app runs as `make run` starts it, as a public page. Each visitor has a key, and so is one visitor to the engine's limits and turns;
every fifth one is greedy and keeps three requests in progress, the others one. A visitor goes on as soon as a reply has ended, and
waits as long as a refusal says. Prompts and lengths vary. Reads the process's memory from /proc, so Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import mean, median

import httpx2

from engine.storage.database import Database
from engine.visitors import ApiKeys

from .memory import Memory
from .page import App

QUESTIONS = ("What can you do?", "How do I load a gated model?", "Tell me about memory.", "Which model fits in 6 GB?", "What is a token?")
LENGTHS = (16, 32, 64, 128)
GREEDY_EVERY, GREEDY_AT_ONCE = 5, 3
READ_S, WARM_S, LINE_S = 300.0, 60.0, 30.0
HONEST = (429,)         # refusals that say when to try again
SHARE, GROWTH_MIB = 0.5, 30.0       # targets: of the slowest visitor in the mean; of memory after the first minute
LIMITS = {"MINDCUBES_PUBLIC": "1", "MINDCUBES_MESSAGES_PER_MINUTE": "0", "MINDCUBES_TOKENS_PER_DAY": "0", "MINDCUBES_REPLIES_AT_ONCE": "4",
          "MINDCUBES_MAX_WAITING": "100", "GRADIO_SERVER_NAME": "127.0.0.1"}


@dataclass
class Seen:
    """What one visitor got. `first_s`: seconds to the first token of each reply."""

    tokens: int = 0
    replies: int = 0
    refused: int = 0
    first_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


async def visit(client: httpx2.AsyncClient, key: str, random: Random, seen: Seen, until: float) -> None:
    """One request after the other, each streamed."""
    while time.monotonic() < until:
        body = {"model": "default", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": random.choice(LENGTHS),
                "temperature": 1.0, "messages": [{"role": "user", "content": random.choice(QUESTIONS)}]}
        started = time.monotonic()
        try:
            async with client.stream("POST", "/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}) as response:
                if response.status_code in HONEST and "Retry-After" in response.headers:
                    seen.refused += 1
                    await asyncio.sleep(float(response.headers["Retry-After"]))
                    continue
                if response.status_code != 200:
                    seen.errors[f"{response.status_code} {(await response.aread())[:200]!r}"] += 1
                    await asyncio.sleep(1)
                    continue
                await _read(response, seen, started)
        except httpx2.HTTPError as error:
            seen.errors[repr(error)] += 1


async def _read(response: httpx2.Response, seen: Seen, started: float) -> None:
    is_first, is_done = True, False
    async for line in response.aiter_lines():
        if '"content"' in line:
            seen.tokens += 1
            if is_first:
                seen.first_s.append(time.monotonic() - started)
            is_first = False
        is_done = is_done or line.startswith("data: [DONE]")
    seen.replies += is_done
    if not is_done:
        seen.errors["a stream ended too early"] += 1


async def watch(pid: int, seen: list[Seen], seconds: float) -> float:
    """Print a line every LINE_S. Returns the growth of memory in MiB after WARM_S."""
    started, warm = time.monotonic(), Memory.of(pid)
    while (elapsed := time.monotonic() - started) < seconds:
        await asyncio.sleep(min(LINE_S, seconds - elapsed))
        now, elapsed = Memory.of(pid), time.monotonic() - started
        print(f"{elapsed / 60:4.1f} min: {sum(each.replies for each in seen):,} replies, {sum(each.refused for each in seen):,} refusals, "
              f"not shared {now.own:,.0f} MiB", flush=True)
        if elapsed <= WARM_S + 1:
            warm = now
    return Memory.of(pid).own - warm.own


async def measure(app: App, keys: list[str], seconds: float) -> bool:
    """Whether every target was met."""
    seen, until = [Seen() for _ in keys], time.monotonic() + seconds
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(base_url=app.url, timeout=READ_S, limits=limits) as client:
        for _ in range(600):        # the model is loading
            if (await client.get("/health")).status_code == 200:
                break
            await asyncio.sleep(0.2)
        visits = [visit(client, key, Random(100 * number + copy), seen[number], until) for number, key in enumerate(keys)
                  for copy in range(1 if number % GREEDY_EVERY else GREEDY_AT_ONCE)]
        growth, *_ = await asyncio.gather(watch(app.process.pid, seen, seconds), *visits)
    return report(seen, growth, seconds)


def report(seen: list[Seen], growth: float, seconds: float) -> bool:
    errors = sum((each.errors for each in seen), Counter())
    modest = [each for number, each in enumerate(seen) if number % GREEDY_EVERY]
    greedy = [each for number, each in enumerate(seen) if not number % GREEDY_EVERY]
    tokens = [each.tokens for each in seen]
    share = min(tokens) / mean(tokens)
    first = sorted(wait for each in seen for wait in each.first_s)
    print(f"{sum(tokens):,} tokens, {sum(tokens) / seconds:,.0f} a second; first token after {median(first):.1f} s, the slowest 5 % after "
          f"more than {first[int(0.95 * len(first))]:.1f} s")
    print(f"a greedy visitor got {mean(each.tokens for each in greedy) / mean(each.tokens for each in modest):.2f}x what another one did")
    for error, count in errors.most_common(5):
        print(f"  error, {count} times: {error}")
    results = {"no error but honest refusals": not errors,
               f"the slowest visitor got {share:.2f} of the mean (target {SHARE})": share >= SHARE,
               f"memory {growth:+,.0f} MiB after the first minute (target at most {GROWTH_MIB:.0f})": growth <= GROWTH_MIB}
    for text, is_met in results.items():
        print(f"{'met   ' if is_met else 'MISSED'}  {text}")
    return all(results.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--model", default="builtin")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = ApiKeys(Database(Path(folder)))
        keys = [made.add(f"visitor-{number}") for number in range(options.visitors)]
        os.environ.update(LIMITS)
        app = App(options.model, Path(folder))
        try:
            app.wait()
            return 0 if asyncio.run(measure(app, keys, 60 * options.minutes)) else 1
        finally:
            app.close()


if __name__ == "__main__":
    raise SystemExit(main())
