"""The Benchmark tab's history as HTML: saved runs, a comparison of two, and published results."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from datetime import timezone

from engine.benchmark import BenchmarkRun, Comparison, Published, Ratio, issue_report

from ..shared.html import action_button, quantization_name
from ..shared.labels import metric_text
from ..shared.language import gib, has_text, number, rate, text
from .plots import model_name, precision, source_link
from .view import noisy_badge, score_text, seconds, when

COLUMNS = ("model", "prompt", "write", "crowd", "quality", "peak", "machine", "when")
VALUE_CHARS = 80        # of a condition that differs


def _escaped(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def history_html(runs: Sequence[BenchmarkRun], published: Sequence[Published], ticked: Collection[str], shown: str, zone: timezone,
                 language: str, *, may_edit: bool, is_filtered: bool = False) -> str:
    """The table of runs. `shown`: the run displayed above it. `published`: results of other people to list too."""
    title = f'<h2>{_escaped(language, "bench.history")}</h2>'
    if not runs and not published:
        return f'{title}<p class="mc-empty">{_escaped(language, "bench.history.none" if is_filtered else "bench.history.empty")}</p>'
    kept = sum(run.uid in ticked for run in runs)
    head = "".join(f'<th scope="col">{_escaped(language, f"bench.col.{each}")}</th>' for each in COLUMNS)
    rows = "".join(_row(run, run.uid in ticked, run.uid == shown, zone, language) for run in runs) + \
        "".join(_published(each, language) for each in published)
    return (f'{title}{_tools(kept, may_edit, language)}<div class="mc-scroll" tabindex="0" role="region" '
            f'aria-label="{_escaped(language, "bench.history")}"><table class="mc-table mc-history"><thead><tr>'
            f'<th scope="col"><span class="mc-unseen">{_escaped(language, "bench.col.tick")}</span></th>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def _tools(ticked: int, may_edit: bool, language: str) -> str:
    def tool(name: str, least: int = 0, most: int = 0, extra: str = "") -> str:
        is_off = ticked < least or (most and ticked > most)
        limits = f' data-ticked="1" data-least="{least}"' + (f' data-most="{most}"' if most else "") + (" disabled" if is_off else "")
        return action_button(text(language, f"bench.act.{name}"), name, extra=limits + extra)

    questions = (("question", "#"), ("confirm", ticked))        # the page replaces # with the number ticked
    ask = "".join(f' data-{name}="{_escaped(language, "bench.delete.ask", count=count)}"' for name, count in questions)
    tools = [tool("compare", 2, 2), tool("export-json"), tool("export-csv"), tool("export-markdown"), tool("report")]
    tools += [tool("delete", 1, extra=ask)] if may_edit else []
    return f'<div class="mc-tools-row">{"".join(tools)}</div><p class="mc-note">{_escaped(language, "bench.tick.note")}</p>'


def _row(run: BenchmarkRun, is_ticked: bool, is_shown: bool, zone: timezone, language: str) -> str:
    name = f"{model_name(run)} · {precision(run)}"
    spoken = html.escape(text(language, "bench.tick", name=f"{name}, {when(run, zone)}"))
    tick = f'<input type="checkbox" data-tick="{html.escape(run.uid)}" aria-label="{spoken}"{" checked" if is_ticked else ""}>'
    label = (f'<button type="button" class="mc-link" data-do="show" data-value="{html.escape(run.uid)}"'
             f'{" aria-current=true" if is_shown else ""}>{html.escape(name)}</button>')
    machine = " · ".join(filter(None, (run.machine, run.origin)))
    cells = (*_measured(run, language), html.escape(machine), when(run, zone))
    state = ' class="is-chosen"' if is_shown else ""
    return f'<tr{state}><td>{tick}</td><th scope="row">{label}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _measured(run: BenchmarkRun, language: str) -> tuple[str, str, str, str, str]:
    speed, best = run.speed, max(run.crowds, key=lambda crowd: crowd.throughput, default=None)
    score = run.scores[0] if run.scores else None
    return (rate(language, speed.prompt.mean) if speed else "–",
            rate(language, speed.write.mean) + (noisy_badge(language) if speed.is_noisy else "") if speed else "–",
            _escaped(language, "bench.best", rate=rate(language, best.throughput), visitors=best.visitors) if best else "–",
            html.escape(f"{metric_text(score.metric, language)} {score_text(score, language)}") if score else "–",
            gib(language, speed.peak_bytes) if speed and speed.peak_bytes else "–")


def _published(each: Published, language: str) -> str:
    name = html.escape(f"{each.model} · {quantization_name(each.quantization, language)}")
    cells = ("–", rate(language, each.value), "–", "–", "–", html.escape(f"{each.machine} · {each.software}"), source_link(each, language))
    mark = f'<span class="mc-verdict">{_escaped(language, "bench.published")}</span>'
    return (f'<tr class="is-published"><td></td><th scope="row">{name} {mark}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")


# --- two runs, and a report ---

def comparison_html(comparison: Comparison, zone: timezone, language: str) -> str:
    names = [html.escape(f"{model_name(run)} · {precision(run)}") + f'<br><span class="mc-note">{html.escape(when(run, zone))}</span>'
             for run in (comparison.first, comparison.second)]
    titles = (_escaped(language, "bench.col.test"), *names, _escaped(language, "bench.col.ratio"))
    head = "".join(f'<th scope="col">{each}</th>' for each in titles)
    rows = "".join(_ratio(each, language) for each in comparison.ratios)
    return _panel(text(language, "bench.compare.title"), (
        f'<div class="mc-scroll" tabindex="0" role="region" aria-label="{_escaped(language, "bench.compare.title")}">'
        f'<table class="mc-table mc-measured"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{_differences(comparison, language)}"), language)


def _ratio(each: Ratio, language: str) -> str:
    is_same = each.first == each.second
    kind = "" if is_same else "is-good" if each.is_better else "is-bad"
    word = text(language, "bench.same" if is_same else "bench.better" if each.is_better else "bench.worse")
    ratio = html.escape(f"{number(language, each.ratio, 2)}x {word}")
    return (f'<tr><th scope="row">{html.escape(measurement(each.name, language))}</th><td>{_value(each.first, each, language)}</td>'
            f'<td>{_value(each.second, each, language)}</td><td><span class="mc-verdict {kind}">{ratio}</span></td></tr>')


def measurement(name: str, language: str) -> str:
    """The translated name of a measurement; a task keeps its own name."""
    kind, _, visitors = name.rpartition("_")
    if visitors.isdecimal() and has_text(f"bench.measure.{kind}"):
        return text(language, f"bench.measure.{kind}", visitors=visitors)
    return text(language, f"bench.measure.{name}") if has_text(f"bench.measure.{name}") else name


def _value(value: float, each: Ratio, language: str) -> str:
    match each.unit:
        case "B":
            return gib(language, value)
        case "s":
            return seconds(language, value)
        case "tok/s":
            return _escaped(language, "bench.rate", rate=rate(language, value))
    return number(language, value, 3)


def _differences(comparison: Comparison, language: str) -> str:
    if not comparison.differences:
        return f'<p class="mc-note">{_escaped(language, "bench.differences.none")}</p>'
    items = "".join(f"<li><code>{html.escape(each.field)}</code> <del>{_cut(each.first)}</del> <ins>{_cut(each.second)}</ins></li>"
                    for each in comparison.differences)
    return f'<h3>{_escaped(language, "bench.differences")}</h3><ul class="mc-differences">{items}</ul>'


def _cut(value: str) -> str:
    return html.escape(value if len(value) <= VALUE_CHARS else f"{value[:VALUE_CHARS]}…") or "–"


def report_html(runs: Sequence[BenchmarkRun], language: str) -> str:
    report = html.escape(issue_report(runs))
    copy = f'<button type="button" class="mc-do mc-primary mc-copy" data-text="{report}">{_escaped(language, "bench.report.copy")}</button>'
    return _panel(text(language, "bench.act.report"), f'<pre class="mc-report" tabindex="0">{report}</pre>{copy}', language)


def _panel(title: str, body: str, language: str) -> str:
    return (f'<section class="mc-panel" aria-label="{html.escape(title)}"><header><h2>{html.escape(title)}</h2>'
            f'{action_button(text(language, "bench.close"), "close")}</header>{body}</section>')
