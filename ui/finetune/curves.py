"""The curves of a run: losses, the metric on held-back examples, the learning rate and the speed."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.finetune import Point, Run

from ..shared.figure import Curve, Frame, figure, scale, scale_between, tick_text
from ..shared.figure import Point as Dot
from ..shared.language import number, text
from .words import metric_name, metric_value

MAX_PLACES = 240        # of one line: more than a screen shows
MAX_DOTS = 40
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Line:
    """`name`: for the legend. `written`: how a value is written."""

    name: str
    places: Sequence[tuple[int, float]]
    written: Callable[[float], str]
    kind: str = ""
    has_dots: bool = False


def curves_html(run: Run, language: str) -> str:
    """All plots that have at least one value; "" before the first."""
    plots = [_losses(run, language), _metric(run, language), _rates(run, language), _speed(run, language)]
    return f'<div class="mc-curves">{"".join(plots)}</div>' if any(plots) else ""


def _values(run: Run, name: str) -> list[tuple[int, float]]:
    found = [(point.step, value) for point in run.points if (value := getattr(point, name)) is not None]
    stride = -(-len(found) // MAX_PLACES) or 1
    return found if stride == 1 else [*found[:-1:stride], found[-1]]        # the newest value is always among them


def _losses(run: Run, language: str) -> str:
    def written(value: float) -> str:
        return number(language, value, 3)

    lines = [Line(text(language, "tune.curve.train"), _values(run, "loss"), written),
             Line(text(language, "tune.curve.eval"), _values(run, "eval_loss"), written, "is-second", has_dots=True)]
    return _plot(run, text(language, "tune.curve.loss"), lines, language, is_from_zero=True)


def _metric(run: Run, language: str) -> str:
    metrics = run.after or run.before
    name = metrics.main if metrics else ""
    if name == "loss" or not name:
        return ""
    line = Line(metric_name(name, language), _values(run, "metric"), lambda value: metric_value(name, value, language), has_dots=True)
    return _plot(run, text(language, "tune.curve.metric", name=line.name), [line], language)


def _rates(run: Run, language: str) -> str:
    """In units of a power of ten, because its ticks have many zeros otherwise."""
    places = _values(run, "learning_rate")
    largest = max((value for _, value in places), default=0.0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    name = text(language, "tune.curve.rate")
    line = Line(name, [(step, value / 10.0**power) for step, value in places], lambda value: tick_text(language, round(value, 2)))
    return _plot(run, f"{name} × 10{str(power).translate(RAISED)}" if power else name, [line], language, is_from_zero=True)


def _speed(run: Run, language: str) -> str:
    line = Line(text(language, "tune.curve.speed"), _values(run, "tokens_per_second"), lambda value: number(language, value))
    return _plot(run, line.name, [line], language, is_from_zero=True)


def _plot(run: Run, title: str, lines: Sequence[Line], language: str, *, is_from_zero: bool = False) -> str:
    lines = [line for line in lines if line.places]
    if not lines:
        return ""
    last = max(run.total, *(step for line in lines for step, _ in line.places), 1)
    values = [value for line in lines for _, value in line.places]
    ticks = scale(max(values) or 1.0) if is_from_zero and min(values) >= 0 else scale_between(min(values), max(values))
    curves = [Curve([(100 * step / last, value) for step, value in line.places], _spoken(line, language), line.kind) for line in lines]
    dots = [Dot(100 * step / last, value, _dot_title(line, step, value, language), line.kind)
            for line in lines if line.has_dots or len(line.places) == 1 for step, value in line.places[-MAX_DOTS:]]
    labels = [(100 * tick / last, number(language, tick)) for tick in scale(last) if tick <= last and tick == int(tick)]
    frame = Frame(title, text(language, "tune.curve.step"), labels, _legend(lines) if len(lines) > 1 else "")
    return figure(dots, ticks, frame, language, curves=curves, speaks_points=False)


def _dot_title(line: Line, step: int, value: float, language: str) -> str:
    return text(language, "tune.curve.point", name=line.name, step=number(language, step), value=line.written(value))


def _spoken(line: Line, language: str) -> str:
    """The first and the last value of a line."""
    (first, start), (last, end) = line.places[0], line.places[-1]
    return text(language, "tune.curve.spoken", name=line.name, first=number(language, first), last=number(language, last),
                start=line.written(start), end=line.written(end))


def _legend(lines: Sequence[Line]) -> str:
    return "".join(f'<span><i class="mc-line {line.kind}"></i>{html.escape(line.name)}</span>' for line in lines)


def newest(points: Sequence[Point], name: str) -> float | None:
    """The newest value that was measured."""
    return next((value for point in reversed(points) if (value := getattr(point, name)) is not None), None)
