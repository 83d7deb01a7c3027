"""The Benchmark tab as HTML: what is being measured, and one run with all its numbers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime, timezone

from engine.background import Job
from engine.benchmark import BenchmarkRun, ConcurrencyResult, FailedCell, LimitShare, Samples, Score

from ..shared.html import action_button, measured_table
from ..shared.jobs import RESUMABLE, job_name, phase_text
from ..shared.labels import metric_text, subject_text, task_text
from ..shared.language import gib, number, percent, rate, text
from .plots import model_name, precision


def _escaped(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def note_html(language: str, key: str) -> str:
    return f'<p class="mc-note">{_escaped(language, key)}</p>'


def empty_html(language: str) -> str:
    return (f'<div class="mc-bench-empty"><h2>{_escaped(language, "bench.empty.title")}</h2><p>{_escaped(language, "bench.empty.note")}</p>'
            f'{action_button(text(language, "bench.empty.act"), "first", kind="mc-do mc-primary")}</div>')


# --- work in progress ---

def job_html(job: Job | None, failed: Sequence[FailedCell], language: str) -> str:
    """`failed`: cells of a sweep that could not be measured."""
    if job is None:
        return ""
    title = html.escape(job_name(job, language))
    if not job.is_over:
        numbers = f' max="{job.total}" value="{job.done}"' if job.total else ""
        cells = text(language, "bench.cells", done=job.done, total=job.total) if job.unit == "cells" else ""
        detail = html.escape(" · ".join(filter(None, (cells, phase_text(job, language)))))
        return f'<div class="mc-now"><b>{title}</b><progress aria-label="{title}"{numbers}></progress><span>{detail}</span></div>'
    if job.state == "done" and not failed:
        return ""
    return f'<div class="mc-now"><b>{title}</b>{_ended(job, failed, language)}</div>'


def _ended(job: Job, failed: Sequence[FailedCell], language: str) -> str:
    words = job.error if job.state == "failed" else "" if job.state == "done" else text(
        language, f"bench.ended.{job.state}", done=job.done, total=job.total) if job.kind == "sweep" else text(
        language, f"bench.ended.{job.state}.all")
    cells = "".join(f"<li>{html.escape(_cell(each, language))}: {html.escape(each.error)}</li>" for each in failed)
    listed = f'<p>{_escaped(language, "bench.failed", count=len(failed))}</p><ul>{cells}</ul>' if cells else ""
    can_resume = job.kind == "sweep" and (job.state in RESUMABLE or failed)
    acts = action_button(text(language, "jobs.resume"), "resume", str(job.id), "mc-do mc-primary") if can_resume else ""
    acts += action_button(text(language, "jobs.hide"), "hide", str(job.id))
    said = f'<span class="{"is-bad" if job.state == "failed" else ""}">{html.escape(words)}</span>' if words else ""
    return f'{said}{listed}<div class="mc-remedies">{acts}</div>'


def _cell(cell: FailedCell, language: str) -> str:
    return subject_text(cell.subject, language) if cell.subject else cell.title


# --- one run ---

def result_html(run: BenchmarkRun, zone: timezone, language: str) -> str:
    chip = f'<span class="mc-verdict">{html.escape(precision(run))}</span>'
    parts = [f'<h2>{html.escape(model_name(run))} {chip}{_badges(run, language)}</h2>',
             f'<p class="mc-facts">{_facts(run, zone, language)}</p>']
    if run.speed is not None:
        parts.append(_speed_table(run, language))
    parts.append(_numbers(run, language))
    if run.share is not None:
        parts.append(f'<p class="mc-bound">{html.escape(bound(run.share, language))}</p>')
    if run.crowds:
        parts.append(_crowd_table(run.crowds, language))
    if run.scores:
        parts.append(_score_table(run.scores, language))
    return "".join(parts)


def _badges(run: BenchmarkRun, language: str) -> str:
    return (noisy_badge(language) if run.speed is not None and run.speed.is_noisy else "") + \
        (smoke_badge(language) if any(score.is_smoke for score in run.scores) else "")


def noisy_badge(language: str) -> str:
    return f' <span class="mc-verdict is-tight" title="{_escaped(language, "bench.noisy.note")}">{_escaped(language, "bench.noisy")}</span>'


def smoke_badge(language: str) -> str:
    return f' <span class="mc-verdict is-tight" title="{_escaped(language, "bench.smoke.note")}">{_escaped(language, "bench.smoke")}</span>'


def when(run: BenchmarkRun, zone: timezone) -> str:
    return f"{datetime.fromtimestamp(run.at, zone):%Y-%m-%d %H:%M}"


def _facts(run: BenchmarkRun, zone: timezone, language: str) -> str:
    lane, origin = run.model.lane, run.origin
    words = (run.machine, when(run, zone), text(language, "bench.origin", name=origin) if origin else "", f"torch {run.environment.torch}",
             text(language, f"bench.lane.{lane}") if lane in ("batched", "single", "remote") else "")
    return "".join(f"<span>{html.escape(word)}</span>" for word in words if word)


def _speed_table(run: BenchmarkRun, language: str) -> str:
    assert run.speed is not None
    plan, speed = run.speed.plan, run.speed
    depth = f" @ {number(language, plan.depth_tokens)}" if plan.depth_tokens else ""
    rows = [_speed_row(text(language, "bench.pp", count=number(language, plan.prompt_tokens)), speed.prompt, language),
            _speed_row(text(language, "bench.tg", count=number(language, plan.new_tokens)) + depth, speed.write, language)]
    head = [text(language, f"bench.col.{each}") for each in ("test", "mean", "stdev", "spread", "repetitions")]
    return measured_table(head, rows, text(language, "bench.speed"))


def _speed_row(name: str, samples: Samples, language: str) -> list[str]:
    spread = percent(language, samples.spread, 1) + (noisy_badge(language) if samples.is_noisy else "")
    every = ", ".join(rate(language, value) for value in samples.values)
    return [html.escape(name), f'<b>{_escaped(language, "bench.rate", rate=rate(language, samples.mean))}</b>',
            f"± {rate(language, samples.stdev)}", spread if len(samples.values) > 1 else "–",
            f'<span title="{html.escape(every)}">{len(samples.values)}</span>']


def seconds(language: str, value: float) -> str:
    if value < 1:
        return f"{number(language, 1000 * value, 0 if value >= 0.01 else 1)} ms"
    return f"{number(language, value, 0 if value == int(value) else 2 if value < 10 else 1)} s"


def _numbers(run: BenchmarkRun, language: str) -> str:
    found: list[tuple[str, str]] = []
    speed = run.speed
    if speed is not None and speed.chat is not None:
        chat = speed.chat
        found += [("ttft", seconds(language, chat.ttft_s.mean)), ("tpot", seconds(language, chat.tpot_s.mean)),
                  ("itl", f"{seconds(language, chat.itl_p50_s)} / {seconds(language, chat.itl_p95_s)}"),
                  ("e2e", seconds(language, chat.e2e_s.mean))]
    if run.load_s is not None:
        found.append(("load", seconds(language, run.load_s)))
    if run.model.lane != "remote":
        found += [("peak", gib(language, speed.peak_bytes))] if speed is not None else []
        found.append(("weights", gib(language, run.model.weight_bytes)))
    if run.share is not None:
        found += [(name, percent(language, share)) for name, share in (
            ("share_write", run.share.write), ("share_read", run.share.read))]
    cells = "".join(f'<div><dt>{_escaped(language, f"bench.number.{name}")}</dt><dd>{html.escape(value)}</dd></div>'
                    for name, value in found)
    return f'<dl class="mc-numbers">{cells}</dl>'


def bound(share: LimitShare, language: str) -> str:
    """What bounds this model here."""
    return text(language, f"bench.bound.{share.bound}", share=number(language, 100 * share.write),
                bandwidth=number(language, share.copy_bytes_per_second / 1e9), quantization=share.quantization.value.upper())


def _crowd_table(crowds: Sequence[ConcurrencyResult], language: str) -> str:
    rows = [[number(language, crowd.visitors), _escaped(language, "bench.rate", rate=rate(language, crowd.throughput)),
             f"{seconds(language, crowd.ttft_p50_s)} / {seconds(language, crowd.ttft_p95_s)}",
             f"{seconds(language, crowd.tpot_p50_s)} / {seconds(language, crowd.tpot_p95_s)}",
             percent(language, crowd.goodput)] for crowd in crowds]
    head = [text(language, f"bench.col.{each}") for each in ("visitors", "throughput", "ttft", "tpot", "goodput")]
    limits = {"ttft": seconds(language, crowds[0].ttft_limit_s), "tpot": seconds(language, crowds[0].tpot_limit_s)}
    note = _escaped(language, "bench.goodput.note", **limits)
    return measured_table(head, rows, text(language, "bench.crowd")) + f'<p class="mc-note">{note}</p>'


def _score_table(scores: Sequence[Score], language: str) -> str:
    rows = [_score_row(score, language) for score in scores]
    columns = ["task", "metric", "value", "stderr", "samples", "note"]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    head = [text(language, f"bench.col.{each}") for each in columns]
    return measured_table(head, rows, text(language, "bench.quality"))


def _score_row(score: Score, language: str) -> list[str]:
    badge = smoke_badge(language) if score.is_smoke else ""
    task, metric = task_text(score.task, language), metric_text(score.metric, language)
    return [html.escape(task), html.escape(metric), f"<b>{score_text(score, language)}</b>",
            f"± {number(language, score.stderr, 4 if score.value < 1 else 2)}", number(language, score.samples) + badge,
            html.escape(" · ".join(filter(None, (_against(score, language), score.note))))]


def _against(score: Score, language: str) -> str:
    if not score.reference:
        return ""
    return text(language, "bench.against", reference=text(language, "models.unquantized") if score.reference == "none" else score.reference)


def score_text(score: Score, language: str) -> str:
    return number(language, score.value, 4 if score.value < 1 else 2)
