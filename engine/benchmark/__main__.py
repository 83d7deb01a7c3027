"""`python -m engine.benchmark --model FOLDER_OR_REPO`: speed as a command, one record per model and quantization."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace

from ..errors import EngineError, InvalidRequest, gib
from ..models.quantization import Quantization
from ..models.spec import ModelSpec
from ..runtime.engine import Engine
from ..settings import Settings
from .cells import CellPlan, measure_loaded
from .measure.control import Control, MeasurementStep
from .measure.load import VisitorPlan
from .measure.loading import load_model
from .measure.speed import SpeedPlan
from .store.exports import to_json
from .store.history import RunHistory
from .store.records import BenchmarkRun


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 if every cell was measured, 1 if one was not, 2 for an invalid option, with the reason in one line."""
    options = _parser().parse_args(arguments)
    try:
        plan, quantizations = _plan(options), [Quantization.parse(each) for each in _list(options.quantization, "quantization")]
        settings = Settings.from_env()
        engine = Engine(replace(settings, device=options.device or settings.device))
        _ = engine.hardware     # an unavailable device is refused before anything is loaded
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    runs: list[BenchmarkRun] = []
    cells = [ModelSpec(model, quantization=each) for model in options.model for each in quantizations]
    try:
        for run in _measured(engine, cells, plan):
            runs.append(run)
            if not options.forget:
                RunHistory(engine.database).add([run])
    except KeyboardInterrupt:
        print("stopped; what was measured before is kept", file=sys.stderr)
    except EngineError as error:        # completed measurements are printed anyway
        print(f"error: {error}", file=sys.stderr)
    finally:
        engine.close()
    if runs or options.json:
        print(to_json(runs) if options.json else as_table(runs))
    return 0 if len(runs) == len(cells) else 1


def _measured(engine: Engine, cells: list[ModelSpec], plan: CellPlan) -> Iterator[BenchmarkRun]:
    for spec in cells:
        try:
            load_model(engine, spec, plan.load_options, Control(_tell))
            yield measure_loaded(engine, plan, Control(_tell))
        except EngineError as error:
            print(f"error: {spec.model}, {spec.quantization}: {error}", file=sys.stderr)


def _tell(step: MeasurementStep) -> None:
    rate = f", {step.rate:.1f} tok/s" if step.rate else ""
    if sys.stderr.isatty():
        print(f"\r\033[K{step.phase} {step.done}/{step.total}{rate} {step.note}", end="", file=sys.stderr, flush=True)


def _plan(options: argparse.Namespace) -> CellPlan:
    visitors = [_number(each, "visitors") for each in _list(options.visitors, "visitors")] if options.visitors else []
    crowd = VisitorPlan(tuple(visitors), options.pp, options.tg, ttft_limit_s=options.ttft, tpot_limit_s=options.tpot) if visitors else None
    return CellPlan(SpeedPlan(options.pp, options.tg, options.depth, options.repetitions), crowd)


def _list(text: str, name: str) -> list[str]:
    found = [each.strip() for each in text.split(",") if each.strip()]
    if not found:
        raise InvalidRequest(name, text, "one or more, with commas between them")
    return found


def _number(text: str, name: str) -> int:
    if not text.isdecimal():
        raise InvalidRequest(name, text, "whole numbers, with commas between them")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.benchmark", description="How fast a model reads and writes on this machine, as llama-bench measures it.")
    parser.add_argument("--model", action="append", required=True, metavar="FOLDER_OR_REPO",
                        help='a folder, owner/name on the hub, or "builtin"; may be given several times')
    parser.add_argument("--quantization", default="none", help="none, int8, int4, nf4, with commas between them (default: none)")
    parser.add_argument("--pp", type=int, default=512, help="prompt tokens (default: 512)")
    parser.add_argument("--tg", type=int, default=128, help="tokens to write (default: 128)")
    parser.add_argument("--depth", type=int, default=0, help="tokens in the window before tg begins (default: 0)")
    parser.add_argument("--visitors", default="",
                        help="how many at once, with commas between them; each reads pp and writes tg tokens (default: none)")
    parser.add_argument("--ttft", type=float, default=2.0, help="seconds to the first token that count as good (default: 2)")
    parser.add_argument("--tpot", type=float, default=0.2, help="seconds per token that count as good (default: 0.2)")
    parser.add_argument("--repetitions", type=int, default=5, help="after warm-up (default: 5)")
    parser.add_argument("--device", default="", help="auto, cpu, cuda or mps (default: MINDCUBES_DEVICE)")
    parser.add_argument("--forget", action="store_true", help="do not keep the records in the database")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def as_table(runs: list[BenchmarkRun]) -> str:
    lines = [f"{'model':<28}{'quant':<7}{'weights':>10}{'test':>14}{'tok/s':>11}{'±':>9}{'TTFT s':>9}{'TPOT ms':>9}{'goodput':>9}"]
    for run in runs:
        start = f"{run.model.model[-27:]:<28}{run.model.quantization.value:<7}{gib(run.model.weight_bytes):>10}"
        if run.speed is not None:
            plan, chat = run.speed.plan, run.speed.chat
            seen = f"{chat.ttft_s.mean:>9.3f}{1e3 * chat.tpot_s.mean:>9.1f}" if chat else ""
            for test, rates, more in ((f"pp{plan.prompt_tokens}", run.speed.prompt, ""), (f"tg{plan.new_tokens}", run.speed.write, seen)):
                noisy = "  noisy" if rates.is_noisy else ""
                lines.append(f"{start}{test:>14}{rates.mean:>11.2f}{rates.stdev:>9.2f}{more}{noisy}")
        lines += [f"{start}{f'{crowd.visitors} visitors':>14}{crowd.throughput:>11.2f}{'':>9}{crowd.ttft_p50_s:>9.3f}"
                  f"{1e3 * crowd.tpot_p50_s:>9.1f}{crowd.goodput:>9.0%}" for crowd in run.crowds]
        if run.share is not None:
            lines.append(f"  {run.share.sentence} Reading reaches {run.share.read:.0%} of a large product.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
