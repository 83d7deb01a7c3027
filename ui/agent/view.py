"""HTML of the Code agent tab: tasks as a timeline of steps, each with its program, output, errors and files.

Every section of the timeline has a key and a hash of its content, so that the browser replaces only the sections that changed.
Details that the visitor has opened stay open.
"""

from __future__ import annotations

import difflib
import hashlib
import html
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from engine.agent import AgentRun, KeptFile, Step, Task
from engine.sandbox import TierReport, probe_sandboxes

from ..shared.language import has_text, number, text

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
READABLE = (".csv", ".txt", ".json", ".md", ".tsv", ".py", ".log", ".xml", ".yaml", ".yml", ".html", ".svg")
PREVIEW_BYTES, PREVIEW_LINES = 4_000, 12
MAX_SHOWN = 20_000          # characters of output that the page shows; exports have more
EXAMPLES = ("plot", "csv", "fibonacci", "primes")
BUILTIN_EXAMPLES = ("fibonacci", "primes", "celsius")       # programs of kinds that the built-in model was trained on
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def timeline_html(run: AgentRun | None, language: str, folder: Path | None) -> str:
    """The timeline in a hidden element, from which page.js takes the changed sections. `folder` has the run's files."""
    if run is None:
        return ""
    sections = []
    for index, task in enumerate(run.tasks):
        is_last = index == len(run.tasks) - 1
        sections.append(_section(f"t{index}", "mc-task", _task(task, language, folder)))
        previous = ""
        for step_index, step in enumerate(task.steps):
            is_newest = is_last and step_index == len(task.steps) - 1
            content = _step(step, task, previous, language, folder, is_newest=is_newest)
            sections.append(_section(f"t{index}s{step_index}", "mc-step", content))
            previous = step.code or previous
        if task.is_over:
            sections.append(_section(f"t{index}e", "mc-outcome", _outcome(task, language, is_last=is_last)))
        elif not task.steps:
            waiting = html.escape(text(language, "agent.starting"))
            sections.append(_section(f"t{index}e", "mc-outcome", f'<p class="mc-note" role="status">{waiting}</p>'))
    return f'<div hidden data-timeline="{html.escape("".join(sections))}"></div>'


def _section(key: str, kind: str, body: str) -> str:
    stamp = hashlib.blake2b(body.encode(), digest_size=8).hexdigest()
    return f'<section class="{kind}" data-key="{key}" data-stamp="{stamp}">{body}</section>'


def _task(task: Task, language: str, folder: Path | None) -> str:
    files = "".join(_chip(file, language, folder) for file in task.uploads)
    return f"<p>{html.escape(task.text)}</p>" + (f'<div class="mc-made">{files}</div>' if files else "")


def _step(step: Step, task: Task, previous: str, language: str, folder: Path | None, *, is_newest: bool) -> str:
    def label(key: str) -> str:
        return html.escape(text(language, key))

    parts = [_step_head(step, task, language, is_newest=is_newest)]
    if step.thoughts:
        parts.append(f'<details data-name="thoughts"><summary>{label("agent.thoughts")}</summary>'
                     f'<div class="mc-words">{html.escape(step.thoughts)}</div></details>')
    if step.reply:
        parts.append(f'<pre class="mc-writing">{html.escape(step.reply)}</pre>')
    if step.prose and step.code:
        parts.append(f'<div class="mc-words">{MARKDOWN.render(step.prose)}</div>')
    if step.code:
        buttons = _program_buttons(step, task, language) if is_newest and task.is_over else ""
        parts.append(f'<details open data-name="code"><summary>{label("agent.program")}</summary>{_program(step.code)}'
                     f'{_changes(previous, step.code, language)}{buttons}</details>')
    if step.stdout:
        shown = step.stdout if len(step.stdout) <= MAX_SHOWN else f"{step.stdout[:MAX_SHOWN]}\n…"
        parts.append(f'<details open data-name="output"><summary>{label("agent.output")}</summary>'
                     f'<pre tabindex="0" aria-label="{label("agent.output")}">{html.escape(shown)}</pre></details>')
    if step.error:
        parts.append(f'<pre class="mc-failure" tabindex="0" aria-label="{label("agent.error")}">{html.escape(step.error)}</pre>')
    if step.files:
        parts.append(f'<div class="mc-made">{"".join(_chip(file, language, folder) for file in step.files)}</div>')
    return "".join(parts)


def _step_head(step: Step, task: Task, language: str, *, is_newest: bool) -> str:
    title = text(language, "agent.step.given" if step.is_given else "agent.step", number=number(language, step.number))
    is_live = is_newest and not task.is_over
    # Seconds that count up would change the whole section each time, so they are shown only when the step is over.
    facts = [] if is_live else [_seconds(step.seconds, language)]
    if step.tokens:
        facts.append(text(language, "usage.tokens", count=number(language, step.tokens)))
    if is_live:
        state, kind = f"agent.{step.phase}" if step.phase != "over" else "agent.writing", "is-busy"
    elif step.error:
        state, kind = ("agent.killed" if step.is_killed else "agent.failed"), "is-bad"
    elif step.code and (is_newest and task.state == "approval"):
        state, kind = "agent.waiting", "is-busy"
    elif step.code and (not is_newest or task.state == "done"):
        state, kind = "agent.clean", "is-ok"
    else:
        state, kind = "", ""
    role = 'role="status"' if is_live else ""
    badge = f'<span class="mc-state {kind}" {role}>{html.escape(text(language, state))}</span>' if state else ""
    return f'<header><b>{html.escape(title)}</b><span>{html.escape(" · ".join(facts))}</span>{badge}</header>'


@lru_cache(maxsize=256)
def _program(code: str) -> str:
    return f'<pre class="mc-program" tabindex="0"><code>{highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()}</code></pre>'


def _changes(previous: str, code: str, language: str) -> str:
    """The differences from the previous program."""
    if not previous or previous == code:
        return ""
    lines = list(difflib.unified_diff(previous.splitlines(), code.splitlines(), n=2, lineterm=""))[2:]
    kinds = {"+": "is-new", "-": "is-gone", "@": "is-place"}
    body = "".join(f'<span class="{kinds.get(line[:1], "")}">{html.escape(line)}</span>\n' for line in lines)
    title = html.escape(text(language, "agent.changes"))
    return f'<details data-name="changes"><summary>{title}</summary><pre class="mc-diff" tabindex="0">{body}</pre></details>'


def _program_buttons(step: Step, task: Task, language: str) -> str:
    def button(name: str, key: str, kind: str = "") -> str:
        return f'<button type="button" class="{kind}" data-agent="{name}">{html.escape(text(language, key))}</button>'

    is_waiting = task.state == "approval"
    label = html.escape(text(language, "agent.program"))
    first = button("approve", "agent.approve", "mc-primary") if is_waiting else button("run", "agent.rerun")
    copy = html.escape(text(language, "chat.copy"))
    code, rows = html.escape(step.code), min(24, step.code.count("\n") + 2)
    return (f'<div class="mc-acts">{first}{button("edit", "chat.edit")}'
            f'<button type="button" class="mc-copy" data-text="{code}">{copy}</button></div>'
            f'<div class="mc-editor" hidden><textarea spellcheck="false" aria-label="{label}" rows="{rows}">{code}</textarea>'
            f'<div class="mc-acts">{button("run", "agent.run", "mc-primary")}{button("fix", "agent.fix")}'
            f'{button("edit", "dialog.cancel")}</div></div>')


def _outcome(task: Task, language: str, *, is_last: bool) -> str:
    parts = []
    last = task.steps[-1] if task.steps else None
    if task.answer and not (last and last.code and last.prose == task.answer):
        parts.append(f'<div class="mc-words">{MARKDOWN.render(task.answer)}</div>')
    key = f"agent.reason.{task.reason}"
    if task.state == "interrupted":
        parts.append(_note(text(language, "agent.interrupted")))
    elif task.state == "failed":
        sentence = text(language, key) if has_text(key) and task.reason != "error" else task.detail
        parts.append(f'<div class="mc-problem" {"role=alert" if is_last else ""}>{html.escape(sentence)}</div>')
    elif task.state in ("approval", "stopped"):
        parts.append(_note(text(language, key)))
    facts = [task.model] if task.model else []
    facts += [text(language, "agent.steps", count=number(language, len(task.steps))),
              _seconds(sum(step.seconds for step in task.steps), language)]
    buttons = []
    if is_last and task.state in ("stopped", "failed", "interrupted"):
        buttons.append(f'<button type="button" data-agent="continue">{html.escape(text(language, "chat.continue"))}</button>')
    if is_last and any(step.code for step in task.steps):
        buttons += [f'<button type="button" data-agent="save-{kind}">{html.escape(text(language, f"agent.save.{kind}"))}</button>'
                 for kind in ("py", "ipynb")]
    facts_html = "".join(f"<span>{html.escape(fact)}</span>" for fact in facts)
    parts.append(f'<div class="mc-foot"><span class="mc-facts">{facts_html}</span><span class="mc-acts">{"".join(buttons)}</span></div>')
    return "".join(parts)


def _seconds(seconds: float, language: str) -> str:
    return text(language, "agent.seconds", seconds=number(language, seconds, 1 if seconds >= 1 else 2))


def _note(sentence: str) -> str:
    return f'<p class="mc-note" role="status">{html.escape(sentence)}</p>'


# --- files ---

def _chip(file: KeptFile, language: str, folder: Path | None) -> str:
    """A link to download a file. A picture is shown as well, and the first lines of a text file."""
    name, size = html.escape(file.name), html.escape(_size(file.num_bytes, language))
    if folder is None:
        return f'<span class="mc-file">{name} · {size}</span>'
    path = folder.joinpath(*file.name.split("/"))
    # The time of the last change, so that the browser does not take a rewritten file from its cache.
    version = int(path.stat().st_mtime * 1000) if path.is_file() else 0
    address = html.escape(f"gradio_api/file={quote(str(path))}?v={version}")
    link = f'<a class="mc-file" href="{address}" download="{html.escape(path.name)}">{name} · {size}</a>'
    kind = path.suffix.lower()
    if kind in PICTURES:
        return f'<figure><img src="{address}" alt="{name}" loading="lazy">{link}</figure>'
    if kind in READABLE:
        title = html.escape(text(language, "agent.preview"))
        return (f'<div>{link}<details data-name="file {name}"><summary>{title}</summary>'
                f'<pre tabindex="0">{html.escape(_beginning(path))}</pre></details></div>')
    return link


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(PREVIEW_BYTES)
            is_whole = not file.read(1)
    except OSError:
        return "…"
    lines = start.decode("utf-8", "replace").splitlines()
    return "\n".join([*lines[:PREVIEW_LINES], *([] if is_whole and len(lines) <= PREVIEW_LINES else ["…"])])


def _size(num_bytes: int, language: str) -> str:
    if num_bytes < 1000:
        return f"{number(language, num_bytes)} B"
    return f"{number(language, num_bytes / 1e3, 1)} kB" if num_bytes < 1e6 else f"{number(language, num_bytes / 1e6, 1)} MB"


# --- around the timeline ---

def welcome_html(language: str, *, is_builtin: bool) -> str:
    title, note = (html.escape(text(language, f"agent.welcome.{part}")) for part in ("title", "note"))
    more = f" {html.escape(text(language, 'agent.welcome.builtin'))}" if is_builtin else ""
    examples = "".join(
        f'<button type="button" data-agent="example" data-value="{each}">{html.escape(text(language, f"agent.example.{each}"))}</button>'
        for each in (BUILTIN_EXAMPLES if is_builtin else EXAMPLES))
    return f'<div class="mc-welcome"><h2>{title}</h2><p>{note}{more}</p><div class="mc-examples">{examples}</div></div>'


def badge_html(report: TierReport | None, run_s: float, language: str) -> str:
    """The sandbox tier in which programs run, with its limits and packages, or the reasons why there is none."""
    label = html.escape(text(language, "agent.runs"))
    drawer = f'<button type="button" class="mc-runs-drawer" data-drawer="mc-agent-side" aria-label="{label}">☰</button>'
    if report is None:
        reasons = "; ".join(f"{each.tier}: {each.reason}" for each in probe_sandboxes() if each.reason)
        return f'{drawer}<div class="mc-problem" role="alert">{html.escape(text(language, "agent.no_sandbox", reasons=reasons))}</div>'
    limits = text(language, "agent.limits", memory=number(language, report.limits.memory_bytes >> 20), seconds=number(language, run_s),
                  files=number(language, report.limits.folder_bytes >> 20))
    packages = ", ".join(report.packages) or text(language, "agent.packages.none")
    name = html.escape(text(language, f"agent.tier.{report.tier}"))
    others = html.escape(text(language, "agent.packages", packages=packages))
    return (f'<div class="mc-agent-top">{drawer}<details class="mc-sandbox"><summary><b>{name}</b></summary>'
            f'<p>{html.escape(limits)}</p><p>{others}</p></details></div>')


def runs_html(runs: Sequence[AgentRun], current: str, language: str) -> str:
    def label(key: str, **values: object) -> str:
        return html.escape(text(language, key, **values))

    items = []
    for run in runs:
        title, here = html.escape(run.title), ' aria-current="page"' if run.id == current else ""
        items.append(f'<div class="mc-item"><button type="button" data-agent="open" data-value="{run.id}" title="{title}"{here}>'
                     f'<span>{title}</span></button><button type="button" class="mc-drop" data-agent="delete" data-value="{run.id}" '
                     f'data-confirm="{label("agent.delete.ask", title=run.title)}" aria-label="{label("agent.delete", title=run.title)}" '
                     f'title="{label("chat.delete")}">✕</button></div>')
    empty = f'<p class="mc-empty">{label("agent.runs.empty")}</p>'
    return f'<nav class="mc-chats" aria-label="{label("agent.runs")}"><h3>{label("agent.runs")}</h3>{"".join(items) or empty}</nav>'


def uploads_html(uploads: Sequence[Path], language: str) -> str:
    remove = html.escape(text(language, "attach.remove"))
    chips = "".join(f'<div class="mc-tag"><span>{html.escape(path.name)} · {_size(path.stat().st_size, language)}</span>'
                    f'<button type="button" data-agent="drop" data-value="{index}">{remove}</button></div>'
                    for index, path in enumerate(uploads))
    return f'<div class="mc-tags">{chips}</div>' if chips else ""
