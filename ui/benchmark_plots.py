"""Two pictures of runs, as HTML: points are placed in per cent, so that words keep their size on every screen.

Read aloud, a picture is one sentence with its numbers; the table beside it holds the same.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine import BenchmarkRun, Crowd, ModelSpec

from .language import gib, number, rate, text

MAX_POINTS = 300
SPOKEN = 12         # points that are read aloud
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Point:
    """`x` in per cent of the width, `value` in the unit of the upright axis. `uid`: the run it stands for, "" for none."""

    x: float
    value: float
    title: str
    kind: str = ""
    uid: str = ""


def crowd_plot(crowds: Sequence[Crowd], language: str) -> str:
    """Throughput against visitors."""
    width = 100 / len(crowds)
    points = [Point(width * (at + 0.5), crowd.throughput, text(
        language, "bench.plot.crowd.point", visitors=crowd.visitors, rate=rate(language, crowd.throughput)))
        for at, crowd in enumerate(crowds)]
    labels = [(point.x, number(language, crowd.visitors)) for point, crowd in zip(points, crowds, strict=True)]
    return _figure(points, labels, text(language, "bench.plot.crowd"), text(language, "bench.visitors"), "", language, is_line=True)


def history_plot(runs: Sequence[BenchmarkRun], language: str) -> str:
    """Writing speed against peak memory: up and to the left is better. "" for fewer than two runs."""
    found = [run for run in runs if run.speed is not None][:MAX_POINTS]
    if len(found) < 2:
        return ""
    top = _nice(max(run.speed.peak_bytes for run in found if run.speed) / 2**30)
    points = [Point(100 * run.speed.peak_bytes / 2**30 / top[-1], run.speed.write.mean, text(
        language, "bench.plot.point", model=f"{model_name(run)} {precision(run)}", rate=rate(language, run.speed.write.mean),
        size=gib(language, run.speed.peak_bytes)), f"is-{run.model.quantization.value}", run.uid) for run in found if run.speed]
    labels = [(100 * value / top[-1], _short(language, value)) for value in top]
    legend = "".join(f'<span><i class="mc-point is-{kind}"></i>{html.escape(name)}</span>' for kind, name in (
        ("none", text(language, "models.unquantized")), ("int8", "INT8"), ("nf4", "NF4"))
        if any(run.model.quantization.value == kind for run in found))
    return _figure(points, labels, text(language, "bench.plot.memory"), text(language, "bench.plot.memory.axis"), legend, language)


def model_name(run: BenchmarkRun) -> str:
    return ModelSpec(run.model.model).name if "/" not in run.model.model else run.model.model


def precision(run: BenchmarkRun) -> str:
    short = {"bfloat16": "BF16", "float16": "FP16", "float32": "FP32"}
    return run.model.quantization.value.upper() if run.model.quantization.value != "none" else \
        short.get(run.model.dtype, run.model.dtype)


def _nice(largest: float) -> list[float]:
    """0 to at least `largest`, in three to six round steps."""
    rough = max(largest, 1e-9) / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = next(step * unit for step in STEPS if step * unit >= rough)
    return [step * at for at in range(math.ceil(largest / step - 1e-9) + 1)]


def _short(language: str, value: float) -> str:
    """As few decimals as tell it from its neighbours."""
    return number(language, value, next((digits for digits in range(3) if math.isclose(round(value, digits), value, rel_tol=1e-6)), 3))


def _figure(points: Sequence[Point], labels: Sequence[tuple[float, str]], title: str, axis: str, legend: str, language: str, *,
            is_line: bool = False) -> str:
    ticks = _nice(max(point.value for point in points))
    spoken = f"{title}: " + "; ".join(point.title for point in points[:SPOKEN])
    lines = "".join(f'<span class="mc-grid" style="bottom:{100 * tick / ticks[-1]:.2f}%">{_short(language, tick)}</span>' for tick in ticks)
    below = "".join(f'<span style="left:{x:.2f}%">{html.escape(label)}</span>' for x, label in labels)
    dots = "".join(_dot(point, ticks[-1]) for point in points)
    path = _line(points, ticks[-1]) if is_line else ""
    return (f'<div class="mc-plot" role="img" aria-label="{html.escape(spoken)}"><p class="mc-plot-title">{html.escape(title)}'
            f'<span class="mc-legend">{legend}</span></p><div class="mc-plot-area">{lines}{path}{dots}</div>'
            f'<div class="mc-plot-axis">{below}</div><div class="mc-plot-name">{html.escape(axis)}</div></div>')


def _dot(point: Point, top: float) -> str:
    return (f'<i class="mc-point {point.kind}" style="left:{point.x:.2f}%;bottom:{100 * point.value / top:.2f}%" '
            f'title="{html.escape(point.title)}"></i>')


def _line(points: Sequence[Point], top: float) -> str:
    places = " ".join(f"{point.x:.2f},{100 - 100 * point.value / top:.2f}" for point in points)
    return (f'<svg viewBox="0 0 100 100" preserveAspectRatio="none"><polyline points="{places}" fill="none" stroke="currentColor" '
            'stroke-width="2" vector-effect="non-scaling-stroke"/></svg>')
