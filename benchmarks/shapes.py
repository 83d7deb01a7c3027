"""Answers in a shape (docs/shapes.md): which library, whether every answer is valid, and what one costs the replies beside it.

    python -m benchmarks.shapes masks                 # compiling, and a mask for each token, with each library that is installed
    python -m benchmarks.shapes random --count 1000   # answers in random schemas, checked with jsonschema; --model builtin or a folder
    python -m benchmarks.shapes beside                # 7 free replies beside one in a shape, and beside another free one, in turns

The last one needs a machine with nothing else to do. It also counts processor time, which other programs change less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from engine import Engine, EngineError, Finished, GenerationOptions, Settings, TextDelta
from engine.shapes import Shape

from .random_schemas import random_schema

FLAT = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 40}, "age": {"type": "integer", "minimum": 0},
                                         "mail": {"type": "string", "pattern": r"^\w+@\w+\.com$"}},
        "required": ["name", "age", "mail"], "additionalProperties": False}
WIDE = {"type": "object", "properties": {f"member{number}": {"type": "string"} for number in range(40)},
        "required": [f"member{number}" for number in range(40)], "additionalProperties": False}
CHOICE = {"enum": [f"category {number}" for number in range(200)]}
# A valid answer in each schema, whose tokens the masks are computed along.
SCHEMAS: dict[str, tuple[dict[str, Any], Any]] = {
    "flat": (FLAT, {"name": "Ada Lovelace", "age": 36, "mail": "ada@example.com"}),
    "wide": (WIDE, {f"member{number}": "some words in it" for number in range(40)}),
    "choice": (CHOICE, "category 137")}
LONG = {"type": "array", "items": FLAT, "minItems": 1000}      # an answer that never ends before its limit
REPLIES, NEW_TOKENS = 8, 128


# --- libraries ---

def masks() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(__file__).parents[1] / "engine" / "models" / "builtin")
    print(f"{len(tokenizer):,} tokens; milliseconds to compile, microseconds for a mask: median, longest")
    for library, follow in {"llguidance": _llguidance, "xgrammar": _xgrammar, "outlines-core": _outlines}.items():
        for name, (schema, answer) in SCHEMAS.items():
            text = json.dumps(answer, separators=(",", ":"))
            try:
                times = list(follow(tokenizer, json.dumps(schema), tokenizer(text, add_special_tokens=False)["input_ids"]))
            except ImportError as error:
                print(f"{library:14} not installed ({error})")
                break
            except Exception as error:      # what one library cannot do must not end the comparison
                print(f"{library:14} {name:8} failed: {type(error).__name__}: {str(error)[:100]}")
                continue
            prepared, compiled, *each = times
            print(f"{library:14} {name:8} tokenizer {prepared * 1e3:7.1f} ms  compile {compiled * 1e3:8.2f} ms  "
                  f"mask {statistics.median(each) * 1e6:7.1f} {max(each) * 1e6:9.1f} µs  ({len(each)} masks)")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def _llguidance(tokenizer: Any, schema: str, ids: list[int]) -> Iterator[float]:
    """Seconds: for the tokenizer, for the schema, for each mask."""
    from llguidance import LLMatcher, LLTokenizer

    seconds, tokens = _timed(lambda: LLTokenizer(tokenizer.backend_tokenizer.to_str(), eos_token=[tokenizer.eos_token_id]))
    yield seconds
    seconds, matcher = _timed(lambda: LLMatcher(tokens, LLMatcher.grammar_from_json_schema(schema), log_level=0))
    assert not matcher.is_error(), matcher.get_error()
    yield seconds
    for token in ids:
        yield _timed(matcher.compute_bitmask)[0]
        assert matcher.consume_token(token)


def _xgrammar(tokenizer: Any, schema: str, ids: list[int]) -> Iterator[float]:
    import xgrammar

    seconds, compiler = _timed(lambda: xgrammar.GrammarCompiler(xgrammar.TokenizerInfo.from_huggingface(tokenizer), max_threads=1))
    yield seconds
    seconds, compiled = _timed(lambda: compiler.compile_json_schema(schema))
    yield seconds
    matcher, mask = xgrammar.GrammarMatcher(compiled), xgrammar.allocate_token_bitmask(1, len(tokenizer))
    for token in ids:
        yield _timed(lambda: matcher.fill_next_token_bitmask(mask))[0]
        assert matcher.accept_token(token)


def _outlines(tokenizer: Any, schema: str, ids: list[int]) -> Iterator[float]:
    from outlines_core import Guide, Index, Vocabulary
    from outlines_core.json_schema import build_regex_from_schema
    from tokenizers.pre_tokenizers import ByteLevel

    def vocabulary() -> Vocabulary:
        own = {text: number for text, number in tokenizer.get_vocab().items() if number not in tokenizer.all_special_ids}
        bytes_of = _byte_values(ByteLevel.alphabet())
        texts: dict[bytes, list[int]] = {}
        for text, number in own.items():
            texts.setdefault(bytes(bytes_of[char] for char in text), []).append(number)
        return Vocabulary(tokenizer.eos_token_id, texts)

    seconds, words = _timed(vocabulary)
    yield seconds
    seconds, index = _timed(lambda: Index(build_regex_from_schema(schema), words))
    yield seconds
    guide = Guide(index)
    for token in ids:
        yield _timed(guide.get_tokens)[0]
        guide.advance(token)


def _byte_values(alphabet: list[str]) -> dict[str, int]:
    """The byte that each character of a byte-level vocabulary stands for (as in GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    found = {chr(byte): byte for byte in plain} | {chr(256 + at): byte for at, byte in enumerate(others)}
    assert set(alphabet) == set(found)
    return found


# --- validity ---

def random_answers(model: str, count: int, most: int) -> None:
    from jsonschema import Draft202012Validator

    def answer(number: int) -> str:
        schema = random_schema(number)
        options = GenerationOptions(max_new_tokens=most, temperature=1.0, seed=number, shape=Shape.of_schema(schema))
        try:
            text, finished = whole(engine, "Fill in the form.", options)
        except EngineError as error:
            print(number, error)
            return "failed, and said why"
        if finished.notes:
            return "cut, and said so"
        try:
            wrong = [error.message for error in Draft202012Validator(schema).iter_errors(json.loads(text))]
        except ValueError as error:
            wrong = [str(error)]
        if wrong:
            print(number, json.dumps(schema), repr(text), wrong[0])
        return "INVALID" if wrong else "valid"

    engine = loaded(model)
    started, used = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(REPLIES) as readers:
        found = Counter(readers.map(answer, range(count)))
    print(f"{model}: {dict(found)}; {time.monotonic() - started:.0f} s, {time.process_time() - used:.0f} s of processor time")
    engine.close()


def whole(engine: Engine, text: str, options: GenerationOptions) -> tuple[str, Finished]:
    events = list(engine.chat(text, options))
    finished = events[-1]
    assert isinstance(finished, Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), finished


def loaded(model: str) -> Engine:
    engine = Engine(Settings(concurrent_replies=REPLIES, data_dir=Path(mkdtemp())))
    for _ in engine.load(model):
        pass
    return engine


# --- cost ---

def beside(model: str, rounds: int) -> None:
    engine = loaded(model)
    shape = Shape.of_schema(LONG)
    found: dict[str, list[tuple[float, float]]] = {"free": [], "shaped": []}
    for number in range(rounds + 1):
        for kind, last in (("free", None), ("shaped", shape)) if number % 2 else (("shaped", shape), ("free", None)):
            measured = _round(engine, last)
            if number:      # the first is a warm-up
                found[kind].append(measured)
    for at, unit in enumerate(("s", "s of processor time")):
        free, shaped = ([each[at] for each in found[kind]] for kind in ("free", "shaped"))
        ratios = [mine / other for mine, other in zip(shaped, free, strict=True)]
        print(f"7 free replies of {NEW_TOKENS} tokens, median of {rounds} rounds: beside a free one {statistics.median(free):.3f} {unit}, "
              f"beside a shaped one {statistics.median(shaped):.3f} {unit}: {100 * (statistics.median(ratios) - 1):+.1f} % "
              f"(pairs: {100 * (min(ratios) - 1):+.1f} to {100 * (max(ratios) - 1):+.1f} %)")
    print("load average:", *(f"{each:.1f}" for each in os.getloadavg()))
    engine.close()


def _round(engine: Engine, shape: Shape | None) -> tuple[float, float]:
    """Seconds until seven free replies have ended, and the process's processor time for that. The eighth goes on as long as they do."""
    free = GenerationOptions(max_new_tokens=NEW_TOKENS, temperature=1.0, seed=1, ignores_end=True)
    eighth = GenerationOptions(max_new_tokens=NEW_TOKENS, temperature=1.0, seed=1, shape=shape, ignores_end=shape is None)
    jobs = [threading.Thread(target=whole, args=(engine, f"Tell me about number {number}.", free)) for number in range(REPLIES - 1)]
    other = threading.Thread(target=whole, args=(engine, "Make a list.", eighth))
    started, used = time.perf_counter(), time.process_time()
    for job in (other, *jobs):
        job.start()
    for job in jobs:
        job.join()
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    other.join()
    return seconds, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("masks", "random", "beside"))
    parser.add_argument("--model", default="builtin", help="a model's name or folder, or “tiny”: random weights")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    model = _tiny() if given.model == "tiny" else given.model
    if given.what == "masks":
        masks()
    elif given.what == "random":
        random_answers(model, given.count, given.tokens)
    else:
        beside(model, given.rounds)


def _tiny() -> str:

    from tests import tiny_models

    return str(tiny_models.llama(Path(mkdtemp()) / "tiny", window=1024))


if __name__ == "__main__":
    main()
