"""Tests swapping models during chats, and measures loading a 4-bit model from its saved copy.

    python -m benchmarks.swap soak [--swaps 30]                     # 4 visitors; about four minutes
    python -m benchmarks.swap saved [--model bench-models/110m]     # made by benchmarks.make_model

soak: one engine loads three models in turn, unquantized and in INT8 and NF4, while each visitor sends a message as soon as the last
reply has ended. At a swap, replies in progress have DRAIN_S seconds to end; one visitor asks for replies that take longer, and one
has a penalty. The exit status is 1 if a reply hung, a message was lost, a swap failed, an old model is still in memory, or
resident memory grew. Memory is compared when the built-in model is loaded, which is after every third swap, so that the sizes of the
models do not matter. torch caches compiled code for up to 1,024 shapes (in oneDNN, and again in ideep), which also grows. To see how
much that is, limit the caches:

    ONEDNN_PRIMITIVE_CACHE_CAPACITY=64 LRU_CACHE_CAPACITY=64 MALLOC_ARENA_MAX=2 python -m benchmarks.swap soak

saved: every load is in a new process that has loaded and unloaded a small model before, so that the time of imports is not counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine import BUILTIN, Conversations, Engine, EngineError, GenerationOptions, ModelSpec, Quantization, Settings
from engine.chat import Ask, ChatMessage, Question

from .make_model import make_tokenizer

MB = 1e6
STAY_S, DRAIN_S, HANG_S = 3.0, 2.0, 60.0
CHAT_TURNS, WINDOW = 6, 1024
SETTLED, GROWTH_BYTES = 6, 50e6     # memory is compared with that after swap 6: INT8 and NF4 have run by then
REPEATS = 3
VISITORS = (        # the options of each
    GenerationOptions(max_new_tokens=24, temperature=0.0),
    GenerationOptions(max_new_tokens=64, temperature=0.8),
    GenerationOptions(max_new_tokens=900, temperature=1.0),
    GenerationOptions(max_new_tokens=48, temperature=0.0, repetition_penalty=1.1),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted message, and its reply as the visitor saw it last. `first_s`: seconds to the first text; None if none came."""

    owner: str
    chat_id: str
    text: str
    is_during_load: bool
    answer: ChatMessage
    first_s: float | None
    is_hung: bool = False


@dataclass(slots=True)
class Visitor:
    """A simulated visitor who sends messages until `end` is set. `has_ended`: it has ended, so it neither hangs nor has failed."""

    owner: str
    options: GenerationOptions
    sent: list[Sent] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    has_ended: bool = False

    def chat(self, engine: Engine, conversations: Conversations, end: threading.Event) -> None:
        pauses, chat_id = random.Random(self.owner), None
        while not end.wait(pauses.uniform(0, 0.2)):
            text = f"message {len(self.sent)} of {self.owner}: what can you do?"
            chat_id = None if len(self.sent) % CHAT_TURNS == 0 or self.sent[-1].is_hung else chat_id
            is_loading = engine.status().state == "loading"
            try:
                chat_id = conversations.send(self.owner, chat_id, None, Question(text), [Ask(self.options)]).id
            except EngineError as error:        # the message was refused, and the visitor knows it, so it is not lost
                self.refused[f"{type(error).__name__}: {error}"] += 1
                continue
            self.sent.append(self._follow(conversations, chat_id, text, is_loading))
        self.has_ended = True

    def _follow(self, conversations: Conversations, chat_id: str, text: str, is_loading: bool) -> Sent:
        started, first = time.monotonic(), None
        answer = conversations.get(self.owner, chat_id).path[-1]      # following a reply that has ended already yields nothing
        for (progress,) in conversations.follow(self.owner, chat_id):
            answer, seconds = progress.message, time.monotonic() - started
            first = seconds if first is None and answer.text else first
            if seconds > HANG_S:
                conversations.stop(self.owner, chat_id)
                return Sent(self.owner, chat_id, text, is_loading, answer, first, is_hung=True)
        return Sent(self.owner, chat_id, text, is_loading, answer, first)


@dataclass(frozen=True, slots=True)
class Swapped:
    """`drained_s`: the part of `seconds` until the old model was unloaded. `memory`: resident memory when the new one was ready."""

    name: str
    seconds: float
    drained_s: float
    memory: int
    num_sent: int
    problem: str = ""


def make_small(folder: Path) -> list[str]:
    """Make two models of other families than the built-in one, with 9 and 11 million random weights. They never end a reply."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, GPT2Config, LlamaConfig

    torch.manual_seed(0)
    tokenizer, ends = make_tokenizer(8192), {"vocab_size": 8192, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    configs = {
        "llama": LlamaConfig(hidden_size=320, intermediate_size=1024, num_hidden_layers=5, num_attention_heads=5, num_key_value_heads=5,
                             max_position_embeddings=WINDOW, **ends),
        "gpt2": GPT2Config(n_embd=320, n_layer=6, n_head=5, n_positions=WINDOW, **ends)}
    for name, config in configs.items():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.generation_config = GenerationConfig(do_sample=False, eos_token_id=1, pad_token_id=0)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return [str(folder / name) for name in configs]


def swaps(engine: Engine, specs: list[ModelSpec], visitors: list[Visitor], count: int) -> Iterator[Swapped]:
    for number in range(1, count + 1):
        time.sleep(STAY_S)
        spec, started, problem = specs[number % len(specs)], time.monotonic(), ""
        try:
            for _ in engine.load(spec):
                pass
        except EngineError as error:
            problem = str(error)
        seconds, status = time.monotonic() - started, engine.status()
        yield Swapped(f"{spec.name}, {spec.quantization}", seconds, status.released.seconds if status.released else 0.0, status.used_bytes,
                   sum(len(visitor.sent) for visitor in visitors), problem)


def is_lost(sent: Sent, conversations: Conversations) -> bool:
    """Whether the message, or its reply as the visitor saw it last, is missing in the stored chat."""
    path = conversations.get(sent.owner, sent.chat_id).path
    answers = [after for message, after in pairwise(path) if message.role == "user" and message.text == sent.text]
    return not sent.is_hung and [(answer.text, answer.state) for answer in answers] != [(sent.answer.text, sent.answer.state)]


def num_alive() -> int:
    """Return how many models are still in memory."""
    from transformers import GenerationMixin

    gc.collect()
    return sum(issubclass(type(each), GenerationMixin) for each in gc.get_objects())


def soak(count: int) -> bool:
    """Run the test, and return whether nothing went wrong."""
    with tempfile.TemporaryDirectory(prefix="swap-") as folder:
        made = make_small(Path(folder))
        models, quantizations = (BUILTIN, *made), tuple(Quantization)
        specs = [ModelSpec(models[i % 3], quantization=quantizations[(i + i // 3) % 3]) for i in range(9)]      # every combination once
        engine = Engine(Settings(data_dir=Path(folder) / "data", context_tokens=WINDOW, concurrent_replies=len(VISITORS),
                                 drain_timeout_s=DRAIN_S))
        conversations, end = Conversations(engine), threading.Event()
        for _ in engine.load(specs[0]):
            pass
        visitors = [Visitor(f"visitor {i}", options) for i, options in enumerate(VISITORS)]
        threads = [threading.Thread(target=visitor.chat, args=(engine, conversations, end), daemon=True) for visitor in visitors]
        for thread in threads:
            thread.start()
        print("| swap | model | swap, s | of it drain and unload, s | resident, MB | messages |\n|---|---|---|---|---|---|")
        done = []
        for number, swap in enumerate(swaps(engine, specs, visitors, count), 1):
            done.append(swap)
            if number % 3 == 0 or swap.problem:
                print(f"| {number} | {swap.name} | {swap.seconds:.1f} | {swap.drained_s:.1f} | {swap.memory / MB:.0f} | {swap.num_sent} |"
                      f"{swap.problem}", flush=True)
        end.set()
        for thread in threads:
            thread.join(HANG_S + 5)
        is_flawless = judge(done, visitors, conversations)
        conversations.close()
        engine.close()
        return is_flawless


def judge(done: list[Swapped], visitors: list[Visitor], conversations: Conversations) -> bool:
    sent = [each for visitor in visitors for each in visitor.sent]
    hung = sum(each.is_hung for each in sent) + sum(not visitor.has_ended for visitor in visitors)
    lost = sum(is_lost(each, conversations) for each in sent)
    failed, growth = sum(bool(swap.problem) for swap in done), done[-1].memory - done[min(SETTLED, len(done)) - 1].memory
    states = Counter(each.answer.state for each in sent)
    without_text = sum(each.answer.state == "stopped" and not each.answer.text for each in sent)
    loading = [each for each in sent if each.is_during_load]
    waits = sorted(each.first_s for each in loading if each.first_s is not None)
    seconds = [swap.seconds for swap in done]
    print(f"\n{len(done)} swaps: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s; {failed} failed")
    print(f"{len(sent)} messages: {states['done']} answers done, {states['stopped']} stopped by a swap "
          f"({without_text} before their first text), {states['failed']} failed, {hung} hung, {lost} lost")
    for text, count in Counter(each.answer.error for each in sent if each.answer.state == "failed").items():
        print(f"  failed {count}x: {text}")
    print(f"{len(loading)} of them sent during a load: {len(waits)} got text, median after {statistics.median(waits or [0]):.1f} s, "
          f"at most {max(waits, default=0):.1f} s; {sum(sum(visitor.refused.values()) for visitor in visitors)} sends refused")
    for text, count in sum((visitor.refused for visitor in visitors), Counter[str]()).items():
        print(f"  refused {count}x: {text}")
    alive = num_alive()
    is_flawless = not (hung or lost or failed) and alive == 1 and growth <= GROWTH_BYTES
    print(f"{'PASSED' if is_flawless else 'FAILED'}: {lost} lost, {hung} hung, {alive} model alive, memory {growth / MB:+.0f} MB between "
          f"swaps {SETTLED} and {len(done)} (at most +{GROWTH_BYTES / MB:.0f})")
    return is_flawless


def measure_load(model: str, data_dir: str) -> dict[str, Any]:
    """Measure one load in NF4. Runs in a separate process. Saves a copy of the model if there is none yet."""
    from engine.models.memory_peak import PeakWatch
    from engine.models.saved import find_saved

    engine, spec = Engine(Settings(data_dir=Path(data_dir), context_tokens=WINDOW)), ModelSpec(model, quantization=Quantization.NF4)
    for _ in engine.load(ModelSpec(BUILTIN, quantization=Quantization.NF4)):
        pass
    engine.unload()
    saved, started = find_saved(spec, engine.settings), time.perf_counter()
    with PeakWatch(engine.hardware) as watch:
        for _ in engine.load(spec):
            pass
    seconds, held = time.perf_counter() - started, engine.held_bytes
    size = (saved or engine.save_quantized()).size_bytes
    engine.close()
    return {"is_saved": saved is not None, "seconds": seconds, "peak": watch.peak_bytes, "held": held, "size": size}


def saved(model: str) -> None:
    source: list[dict[str, Any]] = []
    copy: list[dict[str, Any]] = []
    size = sum(path.stat().st_size for path in Path(model).glob("*.safetensors"))
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="swap-") as folder:
            for rows in (source, copy):
                command = [sys.executable, "-m", "benchmarks.swap", "saved", "--model", model, "--one", folder]
                run = subprocess.run(command, capture_output=True, text=True, check=False)
                if run.returncode:
                    raise SystemExit(run.stderr[-2000:])
                rows.append(json.loads(run.stdout.splitlines()[-1]))
                assert rows[-1]["is_saved"] is (rows is copy), rows[-1]
    before, after = ({key: statistics.median(row[key] for row in rows) for key in ("seconds", "peak", "size")} for rows in (source, copy))
    before["size"] = size
    print(f"{Path(model).name}, NF4, median of {REPEATS}: {source[0]['held'] / MB:.0f} MB when loaded, cache included")
    print("| | seconds | peak, MB | files, MB |\n|---|---|---|---|")
    for name, row in (("from the source", before), ("from the saved form", after)):
        print(f"| {name} | {row['seconds']:.2f} | {row['peak'] / MB:.0f} | {row['size'] / MB:.0f} |")
    print(f"| ratio | {' | '.join(f'{before[key] / after[key]:.1f}x' for key in ('seconds', 'peak', 'size'))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("soak", "saved"))
    parser.add_argument("--swaps", type=int, default=30)
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--one", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure_load(options.model, options.one)))
    elif options.what == "saved":
        saved(options.model)
    else:
        sys.exit(0 if soak(options.swaps) else 1)


if __name__ == "__main__":
    main()
