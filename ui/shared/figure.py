"""A plot as HTML. Points and lines are positioned in per cent, so text keeps its size on every screen.

Its accessible name is one sentence with the numbers; a table on the page holds the same numbers.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from .language import number

SPOKEN = 12         # points named in the accessible name
STEPS = (1, 2, 2.5, 5, 10)
CLOSE = 8.0         # per cent of the height: lines closer than this share one mark


@dataclass(frozen=True)
class Point:
    """`x`: per cent of the width. `value` and `error` (plus or minus): in the unit of the y axis."""

    x: float
    value: float
    title: str
    kind: str = ""
    error: float = 0.0


@dataclass(frozen=True)
class Rule:
    """A dashed horizontal line, and the mark that refers to its explanation below the plot."""

    value: float
    title: str
    mark: str


@dataclass(frozen=True)
class Curve:
    """A line through `places`: (per cent of the width, value). `title`: its numbers in words. `kind`: a class that sets its look."""

    places: Sequence[tuple[float, float]]
    title: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Frame:
    """The text around a plot. `labels`: (per cent of the width, text) below the x axis; `legend` is HTML."""

    title: str
    axis: str
    labels: Sequence[tuple[float, str]]
    legend: str = ""


def scale(largest: float) -> list[float]:
    """Axis ticks from 0 to at least `largest`, in three to six round steps."""
    step = _step(largest)
    return [step * at for at in range(math.ceil(largest / step - 1e-9) + 1)]


def scale_between(low: float, high: float) -> list[float]:
    """Axis ticks around a range far from zero; not below zero unless `low` is."""
    step = _step(max(high - low, abs(high) / 50) or 1.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if last - first < 2:        # equal values go in the middle
        first, last = first - 1 if low < 0 else max(0, first - 1), last + 1
    return [step * at for at in range(first, last + 1)]


def _step(span: float) -> float:
    rough = max(span, 1e-9) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(step * unit for step in STEPS if step * unit >= rough)


def tick_text(language: str, value: float) -> str:
    """A tick with the fewest decimals that show its value."""
    return number(language, value, next((digits for digits in range(6) if math.isclose(round(value, digits), value, rel_tol=1e-6)), 6))


def figure(points: Sequence[Point], ticks: Sequence[float], frame: Frame, language: str, *, rules: Sequence[Rule] = (),
           curves: Sequence[Curve] = (), speaks_points: bool = True) -> str:
    """The HTML of a plot. `ticks`: of the y axis, from bottom to top. The accessible name has the points, the curves and the rules."""
    def height(value: float) -> float:
        return 100 * (value - ticks[0]) / (ticks[-1] - ticks[0])

    told: list[Point | Curve | Rule] = [*points[:SPOKEN if speaks_points else 0], *curves, *rules]
    titles = [each.title for each in told if each.title]
    spoken = f"{frame.title}: " + "; ".join(titles)
    grid = "".join(f'<span class="mc-grid" style="bottom:{height(tick):.2f}%">{tick_text(language, tick)}</span>' for tick in ticks)
    path = _lines([(each.kind, [(x, height(value)) for x, value in each.places]) for each in curves])
    drawn = "".join(_dot(point, height(point.value - point.error), height(point.value), height(point.value + point.error))
                    for point in points)
    below = "".join(f'<span style="left:{x:.2f}%">{html.escape(label)}</span>' for x, label in frame.labels)
    lines = _rules([(height(rule.value), rule) for rule in rules])
    return (f'<div class="mc-plot{" has-rules" if rules else ""}" role="img" aria-label="{html.escape(spoken)}">'
            f'<p class="mc-plot-title">{html.escape(frame.title)}<span class="mc-legend">{frame.legend}</span></p>'
            f'<div class="mc-plot-area">{grid}{lines}{path}{drawn}</div>'
            f'<div class="mc-plot-axis">{below}</div><div class="mc-plot-name">{html.escape(frame.axis)}</div></div>')


def _dot(point: Point, low: float, place: float, high: float) -> str:
    left, bottom = f"left:{point.x:.2f}%", max(0.0, low)
    error = f'<i class="mc-error" style="{left};bottom:{bottom:.2f}%;height:{min(100.0, high) - bottom:.2f}%"></i>' if point.error else ""
    return error + f'<i class="mc-point {point.kind}" style="{left};bottom:{place:.2f}%" title="{html.escape(point.title)}"></i>'


def _rules(placed: Sequence[tuple[float, Rule]]) -> str:
    """Dashed lines; those close together share one list of marks, at the lowest of them."""
    groups: list[tuple[float, list[str]]] = []
    for place, rule in sorted(placed, key=lambda each: each[0]):
        if groups and place - groups[-1][0] < CLOSE:
            groups[-1][1].append(rule.mark)
        else:
            groups.append((place, [rule.mark]))
    lines = "".join(f'<i class="mc-rule" style="bottom:{place:.2f}%" title="{html.escape(rule.title)}"></i>' for place, rule in placed)
    return lines + "".join(f'<b class="mc-mark" style="bottom:{place:.2f}%">{", ".join(sorted(marks))}</b>' for place, marks in groups)


def _lines(curves: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> str:
    lines = "".join(f'<polyline class="{kind}" points="{" ".join(f"{x:.2f},{100 - place:.2f}" for x, place in places)}" fill="none" '
                    'stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke"/>' for kind, places in curves)
    return f'<svg viewBox="0 0 100 100" preserveAspectRatio="none">{lines}</svg>' if lines else ""
