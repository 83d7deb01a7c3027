"""`python -m engine.models.fit FOLDER_OR_REPO`: the memory estimate as a command."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

from ...errors import EngineError, gib
from ...settings import Settings
from ..estimate import ModelFit, QuantizationFit, estimate_fit


def main(arguments: list[str] | None = None) -> int:
    """0 if the model could be estimated, whatever the verdict; 2 for a bad name or option, with one line that says why."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env()
        settings = replace(settings, device=options.device or settings.device)
        fit = estimate_fit(options.model, context_tokens=options.context, visitors=options.visitors, settings=settings)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(as_json(fit), indent=2) if options.json else as_text(fit))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.models.fit", description="Whether a model fits on this machine, for each quantization. Sizes in bytes.")
    parser.add_argument("model", metavar="FOLDER_OR_REPO", help='a folder, owner/name on the hub, or "builtin"')
    parser.add_argument("--context", type=int, default=4096, help="context window of one reply in tokens (default: 4096)")
    parser.add_argument("--visitors", type=int, default=1, help="number of full windows at once (default: 1)")
    parser.add_argument("--device", default="", help="auto, cpu, cuda or mps (default: MINDCUBES_DEVICE)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def as_json(model_fit: ModelFit) -> dict[str, Any]:
    """Sizes in bytes. `total`: the peak. `needed`: the peak without file pages, which the system can take back."""
    return {
        "model": model_fit.model, "hardware": model_fit.hardware_name, "free_bytes": model_fit.free_bytes,
        "context_tokens": model_fit.context_tokens, "visitors": model_fit.visitors, "parameters": model_fit.shape.parameters,
        "quantizations": {choice.quantization.value: _choice_json(choice) for choice in model_fit.choices}}


def _choice_json(choice: QuantizationFit) -> dict[str, Any]:
    fit = choice.fit
    return {
        "is_supported": choice.is_supported, "held": choice.held.value, "verdict": fit.verdict.value, "weights": fit.weight_bytes,
        "load_peak": choice.load_peak_bytes, "cache": fit.kv_bytes, "overhead": fit.runtime_bytes, "file_pages": fit.kept_page_bytes,
        "total": fit.total_bytes, "needed": fit.needed_bytes, "largest_context": choice.largest_context,
        "tokens_per_second": round(choice.tokens_per_second, 2), "measured_peak": choice.measured_peak_bytes}


def as_text(model_fit: ModelFit) -> str:
    lines = [
        f"{model_fit.model}: {model_fit.shape.parameters / 1e6:,.0f} M parameters, {model_fit.visitors} x "
        f"{model_fit.context_tokens:,} tokens, {gib(model_fit.free_bytes)} free on {model_fit.hardware_name}",
        f"{'':<6}{'verdict':<12}{'weights':>10}{'load peak':>11}{'cache':>10}{'overhead':>10}{'total':>10}{'context':>11}{'tok/s':>8}"]
    for choice in model_fit.choices:
        fit = choice.fit
        verdict = fit.verdict.value if choice.is_supported else "unsupported"
        sizes = f"{gib(fit.weight_bytes):>10}{gib(choice.load_peak_bytes):>11}{gib(fit.kv_bytes):>10}{gib(fit.runtime_bytes):>10}"
        measured = f"  measured {gib(choice.measured_peak_bytes)}" if choice.measured_peak_bytes is not None else ""
        lines.append(f"{choice.quantization.value:<6}{verdict:<12}{sizes}{gib(fit.total_bytes):>10}{choice.largest_context:>11,}"
                     f"{choice.tokens_per_second:>8.1f}{measured}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
