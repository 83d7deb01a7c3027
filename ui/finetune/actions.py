"""The buttons of the Fine-tune tab. Each changes the page's session and returns a message to the browser, or "".

Nothing that comes from the page is trusted: a run of another visitor does not exist for the engine.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from engine import Secret
from engine.finetune import HEADED, Run, use_result

from ..shared.actions import Actions, Click
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message, disk_size
from ..shared.language import text
from . import start
from .session import HELD_BACK, STEPS, FineTuneSession
from .start import problems_shown
from .uses_view import download_html, pushed_html

MAX_REPO, MAX_TOKEN = 120, 200
SLOW = ("export", "merge", "chat", "try")       # these take seconds, and the page says first what it waits for

actions: Actions[FineTuneSession, str] = Actions(max_value_chars=300)


def perform(context: Context, session: FineTuneSession, click: Click) -> str:
    """Do what a button asks for; a refusal is shown in the step where the button is."""
    with problems_shown(session, session.step):
        return actions.run(context, session, click)
    session.ready = ""
    return ""


def wait(context: Context, session: FineTuneSession, name: str) -> None:
    """Say what a slow button is doing."""
    session.ready = text(context.language, f"tune.wait.{'load' if name in ('chat', 'try') else name}")


def arrived(session: FineTuneSession) -> str:
    """A message to the browser: the address names the run that is shown, and the focus goes on in the stepper."""
    return browser_message("tune", tune=session.run_id if session.step in ("run", "result") else "")


def _run(context: Context, session: FineTuneSession) -> Run:
    if not session.run_id:
        raise PageError("error.gone")
    return context.fine_tunes.get(session.run_id, context.visitor)


# --- from step to step ---

@actions("step")
def show_step(context: Context, session: FineTuneSession, click: Click) -> str:
    step = next((each for each in STEPS if each == click.value), None)
    if step is None:
        raise PageError("error.gone")
    session.show(step)
    with problems_shown(session, step):
        if step == "map" and session.report is None:
            start.check_examples(context, session)
        if step == "model" and session.estimate is None:
            start.make_estimate(context, session)
    return arrived(session)


@actions("example")
def use_example(context: Context, session: FineTuneSession, click: Click) -> str:
    start.use_example(context, session)
    return arrived(session)


@actions("header")
def read_again(context: Context, session: FineTuneSession, click: Click) -> str:
    start.read_again(context, session)
    return ""


@actions("look")
def look(context: Context, session: FineTuneSession, click: Click) -> str:
    """Show the next example, or the one before."""
    usable = session.usable
    session.at = max(0, min(usable - 1, session.at + (1 if click.value == "next" else -1)))
    return ""


@actions("hold-back")
def hold_back(context: Context, session: FineTuneSession, click: Click) -> str:
    """Measure on held-back examples again, not on a second file."""
    session.validation, session.held_back = None, session.held_back or HELD_BACK
    session.is_fresh = True
    start.check_examples(context, session)
    return ""


@actions("remedy")
def apply_remedy(context: Context, session: FineTuneSession, click: Click) -> str:
    start.apply_remedy(context, session, click.value)
    return ""


# --- runs ---

@actions("open")
def open_run(context: Context, session: FineTuneSession, click: Click) -> str:
    session.show_run(context.fine_tunes.get(click.value, context.visitor))
    return arrived(session)


@actions("stop")
def stop(context: Context, session: FineTuneSession, click: Click) -> str:
    context.fine_tunes.stop(_run(context, session).id, context.visitor)
    return ""


@actions("resume")
def resume(context: Context, session: FineTuneSession, click: Click) -> str:
    session.show_run(context.fine_tunes.resume(click.value, context.visitor))
    return arrived(session)


@actions("delete")
def delete(context: Context, session: FineTuneSession, click: Click) -> str:
    context.fine_tunes.delete(click.value, context.visitor)
    if click.value == session.run_id:
        session.run_id = ""
        session.show("data")
    return arrived(session)


@actions("again")
def begin_again(context: Context, session: FineTuneSession, click: Click) -> str:
    """Back to the choices of this run, for another one."""
    plan, owner = _run(context, session).plan, context.visitor.owner
    second = context.tables.get(plan.validation_table, owner) if plan.validation_table else None
    session.use_plan(plan, context.tables.get(plan.table, owner), second)
    session.show("model")
    with problems_shown(session, "model"):
        start.check_examples(context, session)
        start.make_estimate(context, session)
    return arrived(session)


# --- results ---

@actions("script")
def script(context: Context, session: FineTuneSession, click: Click) -> str:
    run = _run(context, session)
    return browser_message("download", name=f"{file_name(run.name)}.py", text=context.fine_tunes.script(run.id, context.visitor))


def begin(context: Context, session: FineTuneSession) -> str:
    """Start what was chosen; where this visitor cannot train, give the script of it."""
    with problems_shown(session, "model"):
        if start.refusal(context):
            return browser_message("download", name=f"{file_name(session.name)}.py", text=context.fine_tunes.script_of(session.plan()))
        session.show_run(context.fine_tunes.start(session.plan(), context.visitor))
        return arrived(session)
    return ""


@actions("card")
def card(context: Context, session: FineTuneSession, click: Click) -> str:
    run = _run(context, session)
    return browser_message("download", name="README.md", text=context.fine_tunes.card(run.id, context.visitor))


@actions("export", "merge")
def export(context: Context, session: FineTuneSession, click: Click) -> str:
    run = _run(context, session)
    path = context.fine_tunes.export(run.id, context.visitor, is_merged=click.name == "merge")
    session.ready = download_html(f"gradio_api/file={quote(str(path))}", path.name, disk_size(context.language, path.stat().st_size),
                                  context.language)
    return ""


@actions("chat", "try")
def use(context: Context, session: FineTuneSession, click: Click) -> str:
    """Load the result, and go where it is used: a chat in which base and adapter answer side by side, or the box to try it."""
    run = _run(context, session)
    adapter = use_result(context.fine_tunes, run.id, context.visitor)
    session.ready = ""
    return browser_message("use", tab="models" if run.plan.task in HEADED else "chat", choice=f"beside {adapter}" if adapter else "")


def push(context: Context, session: FineTuneSession, repo: str, token: str, *, is_private: bool, is_merged: bool) -> None:
    with problems_shown(session, "result"):
        if not repo.strip() or not token.strip():
            raise PageError("tune.push.missing")
        address = context.fine_tunes.push(_run(context, session).id, repo.strip()[:MAX_REPO], Secret(token.strip()[:MAX_TOKEN]),
                                          context.visitor, is_private=is_private, is_merged=is_merged)
        session.ready = pushed_html(address, context.language)


def file_name(name: str) -> str:
    """A run's name as the name of a file."""
    return re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.") or "run"
