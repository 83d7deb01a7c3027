"""What each quantization costs the built-in model: perplexity and divergence on conversations that were held out from its training.

    python -m benchmarks.quantization [--tokens 8192] [--model NAME --text FILE] [--out quantization.json]

The same measurement as "Cost of quantization" on the Benchmark tab, as a table: every quantization on the same tokens, against the
model without quantization. A model with random weights would say nothing, so none is made here.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

from engine import BUILTIN, Engine, Quantization, Settings
from engine.benchmark.measure.control import Control
from engine.benchmark.quality.likelihood import TextPlan
from engine.benchmark.quality.perplexity import compare_quantizations

MB = 1e6


def conversations() -> str:
    """Questions in phrasings that the built-in model has not seen, with the replies that it should give, in its own format."""
    from scripts.builtin_model.evaluate import questions

    turns = questions(per_task=1, per_topic=1)
    random.Random(0).shuffle(turns)
    return "".join(f"<|user|>{turn.question.strip()}<|end|><|assistant|>{turn.reply.strip()}<|end|>" for turn in turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=BUILTIN)
    parser.add_argument("--text", type=Path, help="a file instead of the built-in model's conversations")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = options.text.read_text("utf-8") if options.text else conversations()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Settings(device="cpu", data_dir=Path(folder)))
        supported = tuple(choice.quantization for choice in engine.quantization_choices()
                          if choice.is_supported and choice.quantization is not Quantization.NONE)
        print("| | weights, MB | perplexity | KL divergence, nats | same likeliest token |\n|---|---|---|---|---|")
        for quantization, scores in compare_quantizations(engine, options.model, supported, text, Control(),
                                                          TextPlan(max_tokens=options.tokens)):
            with engine.using() as active_model:
                size = active_model.weight_bytes
            values = [score.value for score in scores]
            rows.append({"quantization": quantization, "weight_bytes": size, "scores": values})
            shown = (f"{values[0]:.2f}", *((f"{values[1]:.4f}", f"{values[2]:.1%}") if len(values) > 1 else ("", "")))
            print(f"| {quantization} | {size / MB:.1f} | {' | '.join(shown)} |", flush=True)
        engine.close()
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
