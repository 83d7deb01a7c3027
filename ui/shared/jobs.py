"""Long-running work as thin lines at the bottom of every tab: a load, downloads, measurements."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Sequence

from engine import Status
from engine.background import Job
from engine.benchmark import benchmark_step, benchmark_subject

from .html import action_button, disk_size, freed
from .labels import subject_text
from .language import duration, has_text, number, rate, text
from .status_bar import stage_text

DONE_S = 60.0               # how long a finished measurement is listed; its result is in its tab
SHOWN_S = 600.0             # how long an ended job is listed, unless it is hidden
RESUMABLE = ("cancelled", "interrupted", "failed")
MEASURING = ("speed", "sweep", "quality", "cost", "duel")
TRAINING = "finetune"       # its facts are the id of the run
INDEXING = "knowledge"      # documents of a collection are read


def visible(jobs: Sequence[Job]) -> list[Job]:
    """Running jobs, and those that ended recently. Interrupted ones stay until they are resumed, hidden or started again.

    `jobs` are sorted newest first; of several attempts at the same work only the latest is listed.
    """
    now, latest = time.time(), {(job.kind, job.title): job.id for job in reversed(jobs)}
    return [job for job in jobs if latest[job.kind, job.title] == job.id and
            (not job.is_over or job.state == "interrupted" or now - job.updated < SHOWN_S)]


def strip_html(jobs: Sequence[Job], status: Status, swap_to: str, language: str, owner: str = "") -> str:
    """The lines of all jobs. `swap_to`: the model that replaces another one; "" for none (the empty chat shows a first load).

    `owner`: who sees them. Fine-tuning runs of others have no button that opens them.
    """
    lines = [_load(status, swap_to, language)] if swap_to and status.state in ("loading", "unloading") else []
    lines += [_line(job, language, owner) for job in visible(jobs) if not _is_seen(job)]
    if not lines:
        return ""
    label = html.escape(text(language, "jobs.title"))
    return f'<section class="mc-jobs" aria-label="{label}">{"".join(lines)}</section>'


def _is_seen(job: Job) -> bool:
    """Whether a job that is done need not be listed: its result is in its tab."""
    if job.state != "done":
        return False
    return job.kind == INDEXING or (job.kind in (*MEASURING, TRAINING) and time.time() - job.updated > DONE_S)


def _load(status: Status, model: str, language: str) -> str:
    stage = status.stage
    label = html.escape(text(language, "bar.loading", model=model))
    detail = freed(stage.released, language) if stage and stage.released else stage_text(stage, language)
    numbers = f' max="{stage.total}" value="{stage.done}"' if stage and stage.total else ""
    return (f'<div class="mc-job"><b>{label}</b><progress aria-label="{label}"{numbers}></progress>'
            f'<span>{html.escape(detail)}</span></div>')


def _line(job: Job, language: str, owner: str) -> str:
    name = html.escape(job_name(job, language))
    numbers = f' max="{job.total}" value="{job.done}"' if job.total else ""
    bar = "" if job.is_over and not can_resume(job) else f'<progress aria-label="{name}"{numbers}></progress>'
    kind = ' class="is-bad"' if job.state in ("failed", "interrupted") else ""
    detail = html.escape(_detail(job, language))
    whole = f' title="{detail}"' if job.state == "failed" else ""       # the line is cut
    return (f'<div class="mc-job" data-state="{job.state}"><b title="{name}">{name}</b>{bar}<span{kind}{whole}>{detail}</span>'
            f'{_buttons(job, language, owner)}</div>')


def _detail(job: Job, language: str) -> str:
    if job.state == "failed":
        return job.error
    if job.kind in MEASURING and job.unit != "cells" and job.state == "running":
        return phase_text(job, language)        # includes the progress of its phase
    size = f"{disk_size(language, job.done)} / {disk_size(language, job.total)}" if job.unit == "bytes" and job.total else \
        f"{number(language, job.done)} / {number(language, job.total)}" if job.total else ""
    if job.kind in MEASURING and job.state in ("cancelled", "interrupted") and not can_resume(job):
        return text(language, f"bench.ended.{job.state}.all")
    if job.state != "running":
        return " · ".join(filter(None, (text(language, f"jobs.{job.state}"), size if job.state != "done" else "")))
    return " · ".join(filter(None, (size, *_speed(job, language)))) or text(language, "jobs.running")


def _speed(job: Job, language: str) -> list[str]:
    """Speed and time left, which a download notes as JSON; the phase of a measurement; the note of other work."""
    if job.kind in MEASURING:
        return [phase_text(job, language)]
    try:
        facts = json.loads(job.note or "{}")
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        return [job.note]
    speed = [text(language, "jobs.speed", speed=disk_size(language, facts["speed"]))] if facts.get("speed") else []
    left = [text(language, "jobs.left", time=duration(language, facts["left_s"]))] if facts.get("left_s") else []
    return speed + left


def can_resume(job: Job) -> bool:
    return job.kind in ("download", "sweep") and job.state in RESUMABLE


def job_name(job: Job, language: str) -> str:
    key = f"bench.job.{job.kind}" if job.kind in MEASURING else f"jobs.{job.kind}"
    title = _title(job, language)
    return text(language, key, title=title) if has_text(key) else title


def _title(job: Job, language: str) -> str:
    """What the job is about. A job without a subject has a name or a prompt as its title, which is not translated."""
    if job.kind == TRAINING:
        return job.title.rpartition(" ")[0]         # the name of the run, without the part of its id that makes titles differ
    subject = benchmark_subject(job)
    return subject_text(subject, language) if subject else job.title


def phase_text(job: Job, language: str) -> str:
    """The current step of a measurement: cell, phase, progress, speed."""
    step = benchmark_step(job)
    if step is None:
        return text(language, "bench.phase.wait")
    count = f" {number(language, step.done)} / {number(language, step.total)}" if step.total and step.phase != "load" else ""
    fast = text(language, "bench.rate", rate=rate(language, step.rate)) if step.rate else ""
    part = subject_text(step.subject, language) if step.subject else ""
    return " · ".join(filter(None, (part, text(language, f"bench.phase.{step.phase}") + count, fast)))


def _buttons(job: Job, language: str, owner: str) -> str:
    def button(key: str, name: str, value: str = "", tab: str = "bench" if job.kind in MEASURING else "") -> str:
        """`tab`: whose handlers get the click, "" for the Models tab."""
        label = text(language, key)
        extra = f' aria-label="{html.escape(f"{label} {_title(job, language)}")}"' + (f' data-tab="{tab}"' if tab else "")
        return action_button(label, name, value or str(job.id), extra=extra)

    if job.kind == TRAINING:
        end = button("jobs.hide", "hide") if job.is_over else button("tune.stop", "cancel")
        return (button("tune.show", "open", job.facts, "tune") if job.owner == owner else "") + end
    if job.state == "running":
        return button("jobs.cancel", "cancel") if job.kind in ("download", "embedder", INDEXING, *MEASURING) else ""
    resume = button("jobs.resume", "resume") if can_resume(job) else ""
    return resume + button("jobs.hide", "hide")
