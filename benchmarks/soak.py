"""Runs the engine for minutes under everything at once, and checks that nothing hangs, leaks, or changes a reply.

    python -m benchmarks.make_model bench-models/110m
    python -m benchmarks.soak [--model bench-models/110m] [--minutes 10] [--visitors 32]

Visitors send random requests (traffic.py): prompts of every length, some with beginnings in common; greedy and sampled, with
penalties and seeds; a fifth is cancelled midway. The cache is too small for all of them. Meanwhile the model is paused for other
work every few seconds, and every minute or two replaced: by another quantization, by a small model of another family, and back.

Before each swap the visitors pause. Then no block of the cache may be held, and some of the last greedy and seeded replies are
generated again, alone. Equal is what they should be, but a sum of floating-point numbers depends on how many rows a product has, so
two tokens that are nearly equally likely can change places; from there on the texts differ. The table says how often, and for greedy
replies how far apart the two tokens were: a difference above TIE is a mistake. Of sampled ones none may differ in float32. Where values
are rounded to fewer bits, as for weights of 4 and 8 bits, they may.

The exit status is 1 if a check fails. Reads memory from /proc, so Linux only.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from engine import Engine, EngineError, ModelSpec, Quantization, Settings, estimate_fit
from engine.models.memory_peak import PeakWatch

from .memory import Memory
from .swap import make_small
from .traffic import GAP_S, Gate, Reply, Visitor, replay, words

WINDOW, FULL_WINDOWS = 1024, 6
HANG_S, IDLE_S = 120.0, 5.0         # until all replies have ended; until their blocks are free
COMPARE_S = 15.0                    # time for repeating replies before a swap
TIE = {"none": 0.1, "int8": 0.5, "int4": 0.2, "nf4": 0.2}       # difference of two log probabilities
WARM_S, LINE_S = 120.0, 30.0        # memory is compared with that after WARM_S: by then every part has run
GROWTH_MIB, ABOVE_MB = 100, 150     # most that memory may grow, and be above the estimate if that is more than
ABOVE_ESTIMATE = 1.15               # of the estimate
MIB = 2**20


class Soak:
    """Directs one run. `problems`: what failed, in sentences. `is_stuck`: it makes no sense to go on."""

    def __init__(self, engine: Engine, specs: list[ModelSpec], seconds: float, num_visitors: int) -> None:
        self.engine, self.specs, self.seconds = engine, specs, seconds
        self.random, self.gate = Random(0), Gate()
        shared = [words(self.random, 40) for _ in range(4)]
        self.visitors = [Visitor(number, engine, self.gate, shared) for number in range(num_visitors)]
        self.is_exact = engine.status().dtype == "float32"      # of the first model, which is loaded now
        self.problems: list[str] = []
        self.is_stuck, self.is_over = False, threading.Event()
        self.counts: Counter[str] = Counter()
        self.compared: Counter[str] = Counter()
        self.margins: list[float] = []
        self.memory: list[tuple[float, ModelSpec | None, Memory]] = []
        self.started = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def run(self) -> None:
        threading.Thread(target=self._watch_memory, daemon=True).start()
        for visitor in self.visitors:
            visitor.start()
        number = 0
        while not self.is_stuck:
            self._pause_now_and_then(min(self.seconds, self.elapsed + min(self.random.uniform(60, 120), self.seconds / 4)))
            self._check_quietly()
            if self.elapsed >= self.seconds or self.is_stuck:
                break
            number += 1
            self._swap(self.specs[0] if number % 2 == 0 else self.specs[1 + number // 2 % (len(self.specs) - 1)])

    def _pause_now_and_then(self, until: float) -> None:
        while self.elapsed < until:
            time.sleep(max(0.0, min(self.random.uniform(2, 6), until - self.elapsed)))
            with self.engine.using() as model, model.alone() as loaded:
                self.counts["pauses"] += 1
                loaded.tokenizer("work other than replies")
                time.sleep(self.random.uniform(0.05, 0.4))

    def _swap(self, spec: ModelSpec) -> None:
        self.counts["swaps"] += 1
        try:
            for _ in self.engine.load(spec):
                pass
        except EngineError as error:
            self.problems.append(f"a swap to {spec.name}, {spec.quantization} failed: {error}")
            self.is_stuck = True

    def _check_quietly(self) -> None:
        with self.gate.closed(HANG_S) as unfinished:
            if unfinished:
                self.problems.append(f"{unfinished} replies had not ended after {HANG_S:.0f} s")
                self.is_stuck = True
                return
            with self.engine.using() as model:
                deadline = time.monotonic() + IDLE_S
                while (held := model.cache_use[0]) and time.monotonic() < deadline:
                    time.sleep(0.01)
                if held:
                    self.problems.append(f"{held} of {model.cache_use[1]} blocks were held without a reply ({model.spec.name})")
            kept = [reply for visitor in self.visitors for reply in visitor.kept if reply.request.spec == self.engine.spec]
            self.random.shuffle(kept)
            until = time.monotonic() + min(COMPARE_S, self.seconds / 10)
            while kept and time.monotonic() < until:
                self._compare(kept.pop())
            for visitor in self.visitors:
                visitor.kept.clear()
            if self.elapsed >= self.seconds:
                self.gate.end()
                self.is_over.set()

    def _compare(self, before: Reply) -> None:
        request = before.request
        assert request.spec is not None
        options = request.options if request.is_chat else dataclasses.replace(request.options, top_logprobs=20)
        alone = replay(self.engine, dataclasses.replace(request, options=options))
        kind = f"{'greedy' if options.is_greedy else 'seeded'}, {request.spec.name}, {request.spec.quantization}"
        self.compared[kind] += 1
        if (alone.text, alone.ids, alone.reason) == (before.text, before.ids, before.reason):
            return
        self.compared[f"{kind}: different"] += 1
        if options.is_greedy and not request.is_chat:
            margin = _margin(before, alone)
            self.margins.append(margin)
            if margin > TIE[request.spec.quantization]:
                self.problems.append(f"a greedy reply of {request.spec.name}, {request.spec.quantization} differs by {margin:.2g} nats: "
                                     f"{options}, {len(request.prompt)} tokens of prompt")

    def _watch_memory(self) -> None:
        line_s = min(LINE_S, self.seconds / 6)
        while not self.is_over.is_set():
            memory, spec = Memory.of(os.getpid()), self.engine.spec
            self.memory.append((self.elapsed, spec, memory))
            replies = sum(visitor.counts.total() - visitor.counts["tokens"] for visitor in self.visitors)
            name = f"{spec.name}, {spec.quantization}" if spec else "loading"
            print(f"{self.elapsed / 60:5.1f} min: RSS {memory.rss:6,.0f} MiB, PSS {memory.pss:6,.0f}, not shared {memory.own:6,.0f}; "
                  f"{replies:6,} replies; {name}", flush=True)
            self.is_over.wait(line_s)

    # --- the end ---

    def report(self, peak_bytes: int, estimate_bytes: int) -> None:
        counts = sum((visitor.counts for visitor in self.visitors), self.counts)
        tokens, late = counts.pop("tokens", 0), Counter(state for visitor in self.visitors for state in visitor.late)
        print("\n| | |\n|---|---|")
        for name, count in sorted(counts.items()):
            print(f"| {name} | {count:,} |")
        print(f"| tokens | {tokens:,} |")
        gap = max(visitor.longest_gap_s for visitor in self.visitors)
        print(f"| longest time without an event | {gap:.2f} s; {late.total()} above {GAP_S:.0f} s |")
        for state, count in late.items():
            print(f"| of these while the engine was {state} | {count} |")
        print("\n| repeated alone | replies | different |\n|---|---|---|")
        for kind in sorted(kind for kind in self.compared if not kind.endswith("different")):
            different = self.compared[f"{kind}: different"]
            print(f"| {kind} | {self.compared[kind]} | {different} ({different / self.compared[kind]:.0%}) |")
        if self.margins:
            print(f"\ngreedy replies that differ, by log probability at the first difference: at most {max(self.margins):.2g}")
        growth = self._growth()
        print(f"\nmemory with the first model after the second minute: {'not measured' if growth is None else f'{growth:+,.0f} MiB'}; "
              f"peak above the start {peak_bytes / MIB:,.0f} MiB, estimated {estimate_bytes / MIB:,.0f} MiB")
        self._judge(late.total(), growth, peak_bytes, estimate_bytes)

    def _judge(self, late: int, growth: float | None, peak_bytes: int, estimate_bytes: int) -> None:
        errors = Counter(error for visitor in self.visitors for error in visitor.errors)
        self.problems += [f"{count} replies failed: {error}" for error, count in errors.items()]
        different = self.compared[f"seeded, {self.specs[0].name}, none: different"] if self.is_exact else 0
        for is_wrong, problem in (
                (late, f"{late} times a stream yielded nothing for more than {GAP_S:.0f} s"),
                (not self.compared, "no reply could be compared"),
                (different, f"{different} seeded replies differ, in float32"),
                (growth is not None and growth > GROWTH_MIB, f"memory grew by {growth or 0:.0f} MiB"),
                (peak_bytes > max(estimate_bytes * ABOVE_ESTIMATE, estimate_bytes + ABOVE_MB * 10**6), "memory was above the estimate")):
            if is_wrong:
                self.problems.append(problem)

    def _growth(self) -> float | None:
        """MiB that the process got of its own, from the first to the last line with the first model after the second minute."""
        own = [memory.own for elapsed, spec, memory in self.memory if spec == self.specs[0] and elapsed >= min(WARM_S, self.seconds / 3)]
        return own[-1] - own[0] if len(own) > 1 else None


def _margin(before: Reply, alone: Reply) -> float:
    """By how much the token alone is likelier than the other one, where the two first differ."""
    at = next((i for i, (one, other) in enumerate(zip(before.ids, alone.ids, strict=False)) if one != other), None)
    if at is None:
        return float("inf")         # one is the beginning of the other
    return float(alone.scores[at].log_probability - dict(alone.scores[at].likeliest).get(before.ids[at], float("-inf")))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--visitors", type=int, default=32)
    parser.add_argument("--dtype", default="auto", choices=("auto", "bfloat16", "float16", "float32"), help="of the first model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        settings = Settings(data_dir=Path(folder) / "data", context_tokens=WINDOW, concurrent_replies=FULL_WINDOWS, drain_timeout_s=5)
        engine = Engine(settings)
        supported = [choice.quantization for choice in engine.quantization_choices() if choice.is_supported]
        others = [ModelSpec(options.model, quantization=each) for each in supported if each is not Quantization.NONE]
        specs = [ModelSpec(options.model, dtype=options.dtype), *others, *(ModelSpec(path) for path in make_small(Path(folder)))]
        fits = {(spec.model, choice.quantization): choice.fit for spec in specs for choice in estimate_fit(
            spec.model, context_tokens=WINDOW, visitors=FULL_WINDOWS, settings=settings, hardware=engine.hardware).choices}
        used = [fits[spec.model, spec.quantization] for spec in specs]      # make_small has imported what a load imports
        with PeakWatch(engine.hardware) as watch:
            for _ in engine.load(specs[0]):
                pass
            soak = Soak(engine, specs, 60 * options.minutes, options.visitors)
            soak.run()
        soak.report(watch.peak_bytes, max(fit.total_bytes - fit.import_bytes for fit in used))
        print(engine.unload("stop").sentence)
        engine.close()
    print("PASSED" if not soak.problems else "FAILED\n" + "\n".join(f"- {problem}" for problem in soak.problems))
    sys.exit(1 if soak.problems else 0)


if __name__ == "__main__":
    main()
