"""Plots of runs: speed against memory, throughput against visitors, quality against weight size."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Sequence

from engine import ModelSpec
from engine.benchmark import BenchmarkRun, ConcurrencyResult, Published, Score

from ..shared.figure import Curve, Frame, Point, Rule, figure, scale, scale_between, tick_text
from ..shared.html import action_button, quantization_name
from ..shared.labels import metric_text, task_text
from ..shared.language import gib, number, rate, text

MAX_POINTS = 300
MAX_RULES, NEAREST = 6, 3       # published values shown: of the same models, or else those nearest in speed
ABOVE, BELOW = 2.0, 0.04        # range, relative to the fastest own run, in which a published value is drawn
MAX_METRICS = 8


def crowd_plot(crowds: Sequence[ConcurrencyResult], language: str) -> str:
    """The plot of throughput against the number of visitors."""
    width = 100 / len(crowds)
    points = [Point(width * (at + 0.5), crowd.throughput, text(
        language, "bench.plot.crowd.point", visitors=crowd.visitors, rate=rate(language, crowd.throughput)))
        for at, crowd in enumerate(crowds)]
    labels = [(point.x, number(language, crowd.visitors)) for point, crowd in zip(points, crowds, strict=True)]
    frame = Frame(text(language, "bench.plot.crowd"), text(language, "bench.visitors"), labels)
    return figure(points, scale(max(point.value for point in points)), frame, language,
                  curves=[Curve([(point.x, point.value) for point in points])])


# --- speed against memory ---

def history_plot(runs: Sequence[BenchmarkRun], published: Sequence[Published], language: str) -> str:
    """The plot of generation speed against peak memory; up and to the left is better. "" for a single run without published values.

    `published`: values of other people, drawn as horizontal lines because their memory use is not known.
    """
    found = [(run, run.speed) for run in runs if run.speed is not None and run.model.lane != "remote"][:MAX_POINTS]
    if not found or (len(found) < 2 and not published):
        return ""
    places, labels = _across([speed.peak_bytes for _, speed in found], 2**30, language)
    points = [Point(place, speed.write.mean, text(
        language, "bench.plot.point", model=f"{model_name(run)} {precision(run)}", rate=rate(language, speed.write.mean),
        size=gib(language, speed.peak_bytes)), f"is-{run.model.quantization.value}")
        for place, (run, speed) in zip(places, found, strict=True)]
    measured = [run for run, _ in found]
    frame = Frame(text(language, "bench.plot.memory"), text(language, "bench.plot.memory.axis"), labels, _legend(measured, language))
    own, others = max(point.value for point in points), beside(measured, published)
    rules = [Rule(each.value, _reference(each, language), str(at)) for at, each in enumerate(others, 1) if _fits(each, own)]
    ticks = scale(max(own, *(rule.value for rule in rules), 0.0))
    return figure(points, ticks, frame, language, rules=rules) + _references(others, own, language)


def beside(runs: Sequence[BenchmarkRun], published: Sequence[Published]) -> list[Published]:
    """The published values to show: of the same model and quantization, else of the same model, else nearest in speed. Fastest first."""
    same = [each for each in published if any(each.is_of(run.model.model) for run in runs)]
    like = [each for each in same if any(each.is_of(run.model.model) and each.quantization is run.model.quantization for run in runs)]
    rates = [math.log(run.speed.write.mean) for run in runs if run.speed is not None and run.speed.write.mean > 0]
    near = sorted(published, key=lambda each: min((abs(math.log(each.value) - own) for own in rates), default=0.0))[:NEAREST]
    return sorted((like or same)[:MAX_RULES] or near, key=lambda each: -each.value)


def _fits(each: Published, own: float) -> bool:
    """Whether a published value can share the scale of one's own runs; others are listed as text."""
    return BELOW * own <= each.value <= ABOVE * own


def _reference(each: Published, language: str) -> str:
    return (f"{each.model} {quantization_name(each.quantization, language)}, {each.machine}: "
            f"{text(language, 'bench.rate', rate=rate(language, each.value))}")


def _references(others: Sequence[Published], own: float, language: str) -> str:
    if not others:
        return ""
    items = "".join(f"<li><b>{at}</b> {html.escape(_reference(each, language))}{_place(each, own, language)} "
                    f"{source_link(each, language)}</li>" for at, each in enumerate(others, 1))
    return f'<div class="mc-refs"><p>{html.escape(text(language, "bench.plot.published"))}</p><ol>{items}</ol></div>'


def _place(each: Published, own: float, language: str) -> str:
    where = "" if _fits(each, own) else "bench.plot.above" if each.value > own else "bench.plot.below"
    return f" ({html.escape(text(language, where))})" if where else ""


def source_link(each: Published, language: str) -> str:
    address = html.escape(each.source.split()[0])
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">{html.escape(text(language, "bench.source"))}</a>' if \
        each.source.startswith("https://") else html.escape(each.source)


# --- quality against weights ---

Metric = tuple[str, str]        # of a task, its name


def metrics_of(runs: Sequence[BenchmarkRun]) -> list[Metric]:
    """Metrics that at least two runs have, the most common first."""
    counted = Counter(metric for run in runs
                      for metric in {(score.task, score.metric): 0 for score in run.scores if math.isfinite(score.value)})
    return [metric for metric, count in counted.most_common() if count > 1][:MAX_METRICS]


def quality_plot(runs: Sequence[BenchmarkRun], shown: BenchmarkRun | None, chosen: str, language: str) -> str:
    """The plot of one metric against weight size, for all runs that have it; "" if no two runs share one.

    `chosen`: the key of the metric; without it, the most common metric of the run `shown`.
    """
    metrics = metrics_of(runs)
    if not metrics:
        return ""
    own = {(score.task, score.metric) for score in shown.scores} if shown else set()
    metric = next((each for each in metrics if _key(each) == chosen), None) or next((each for each in metrics if each in own), metrics[0])
    found = [(run, score) for run in runs for score in run.scores if (score.task, score.metric) == metric and math.isfinite(score.value)
             and run.model.lane != "remote"]
    found = found[:MAX_POINTS]
    size, unit = (2**30, "GiB") if max(run.model.weight_bytes for run, _ in found) >= 0.1 * 2**30 else (2**20, "MiB")
    places, labels = _across([run.model.weight_bytes for run, _ in found], size, language)
    points = [Point(place, score.value, _scored(run, score, language),
                    f"is-{run.model.quantization.value}", score.stderr) for place, (run, score) in zip(places, found, strict=True)]
    direction = text(language, "bench.plot.higher" if found[0][1].higher_is_better else "bench.plot.lower")
    frame = Frame(text(language, "bench.plot.quality", metric=_named(metric, language), direction=direction),
                  text(language, "bench.plot.quality.axis", unit=unit), labels, _legend([run for run, _ in found], language))
    ticks = scale_between(min(_lowest(score) for _, score in found), max(score.value + score.stderr for _, score in found))
    return _chooser(metrics, metric, language) + figure(points, ticks, frame, language)


def _lowest(score: Score) -> float:
    low = score.value - score.stderr
    return low if score.value < 0 else max(0.0, low)


def _key(metric: Metric) -> str:
    return "\n".join(metric)


def _named(metric: Metric, language: str) -> str:
    return f"{metric_text(metric[1], language)} ({task_text(metric[0], language)})"


def _scored(run: BenchmarkRun, score: Score, language: str) -> str:
    decimals = 4 if score.value < 1 else 2
    return text(language, "bench.plot.quality.point", model=f"{model_name(run)} {precision(run)}", samples=number(language, score.samples),
                value=number(language, score.value, decimals), error=number(language, score.stderr, decimals),
                size=gib(language, run.model.weight_bytes))


def _chooser(metrics: Sequence[Metric], chosen: Metric, language: str) -> str:
    """Buttons to choose the metric, if there are several."""
    buttons = "".join(action_button(_named(each, language), "metric", _key(each), extra=f' aria-pressed="{str(each == chosen).lower()}"')
                      for each in metrics) if len(metrics) > 1 else ""
    label = html.escape(text(language, "bench.plot.metric"))
    note = f'<p class="mc-note">{html.escape(text(language, "bench.plot.quality.note"))}</p>'
    return (f'<div class="mc-tools-row mc-metrics" role="group" aria-label="{label}">{buttons}</div>' if buttons else "") + note


# --- of both ---

def _across(sizes: Sequence[int], unit: int, language: str) -> tuple[list[float], list[tuple[float, str]]]:
    """The x position of each size in per cent, and the labels of the axis."""
    ticks = scale(max(sizes) / unit)
    return [100 * size / unit / ticks[-1] for size in sizes], [(100 * tick / ticks[-1], tick_text(language, tick)) for tick in ticks]


def _legend(runs: Sequence[BenchmarkRun], language: str) -> str:
    return "".join(f'<span><i class="mc-point is-{kind}"></i>{html.escape(name)}</span>' for kind, name in (
        ("none", text(language, "models.unquantized")), ("int8", "INT8"), ("int4", "INT4"), ("nf4", "NF4"))
        if any(run.model.quantization.value == kind for run in runs))


def model_name(run: BenchmarkRun) -> str:
    return ModelSpec(run.model.model).name if "/" not in run.model.model else run.model.model


def precision(run: BenchmarkRun) -> str:
    short = {"bfloat16": "BF16", "float16": "FP16", "float32": "FP32"}
    return run.model.quantization.value.upper() if run.model.quantization.value != "none" else \
        short.get(run.model.dtype, run.model.dtype)
