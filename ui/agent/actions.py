"""Actions of the Code agent tab. Each changes the page's session and returns a message for page.js, or "".

Nothing that comes from the page is trusted: the engine's AgentSessions checks who owns a run and decides where its programs run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine import AgentOptions, EngineError
from engine.agent import AgentRun, to_notebook, to_script

from ..shared.actions import Actions, Click
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message
from ..shared.language import text
from .session import AgentSession
from .view import BUILTIN_EXAMPLES, EXAMPLES

MAX_UPLOADS = 20


def _failed(context: Context, session: AgentSession, error: Exception) -> str:
    session.problem = error
    return ""


def _clear_problem(session: AgentSession, name: str) -> None:
    session.problem = None


action: Actions[AgentSession, str] = Actions(_failed, before=_clear_problem)
perform = action.perform


def start(context: Context, session: AgentSession, task: str) -> str:
    """Start a task, in a new run or as a follow-up in the current one. An error is shown above the input, which keeps its text."""
    session.problem = None
    if not task.strip():
        session.problem = PageError("agent.nothing")
        return ""
    try:
        run = context.agent_sessions.start(session.owner, session.run.id if session.run else None, task, session.uploads,
                                           _options(context, session))
    except EngineError as error:
        session.problem = error
        return ""
    session.uploads = []
    session.show_run(run)
    return browser_message("asked", run=run.id, text=task)


def attach(session: AgentSession, paths: list[str]) -> None:
    """Add files to the next task. A new file replaces an older one of the same name."""
    session.problem = None
    by_name = {path.name: path for path in (*session.uploads, *(Path(path) for path in paths))}
    if len(by_name) > MAX_UPLOADS:
        session.problem = PageError("agent.too_many")
    session.uploads = list(by_name.values())[:MAX_UPLOADS]


def _options(context: Context, session: AgentSession) -> AgentOptions:
    return replace(context.agent_sessions.options, approve_first=session.approve_first)


def _run(session: AgentSession) -> AgentRun:
    if session.run is None:
        raise PageError("error.gone")
    return session.run


def _address(session: AgentSession) -> str:
    """Return a message that puts the current run into the page's address, so that a reload shows it again."""
    return browser_message("run", run=session.run.id if session.run else "")


@action("drop")
def _drop(context: Context, session: AgentSession, click: Click) -> str:
    if click.value.isdecimal() and int(click.value) < len(session.uploads):
        session.uploads.pop(int(click.value))
    return ""


@action("open")
def _open(context: Context, session: AgentSession, click: Click) -> str:
    session.show_run(context.agent_sessions.get(session.owner, click.value))
    return _address(session)


@action("new")
def _new(context: Context, session: AgentSession, click: Click) -> str:
    session.show_run(None)
    session.uploads = []
    return _address(session)


@action("delete")
def _delete(context: Context, session: AgentSession, click: Click) -> str:
    context.agent_sessions.delete(session.owner, click.value)
    if session.run is not None and session.run.id == click.value:
        session.show_run(None)
    return _address(session)


@action("example")
def _example(context: Context, session: AgentSession, click: Click) -> str:
    if click.value not in (*EXAMPLES, *BUILTIN_EXAMPLES):
        raise PageError("error.gone")
    return start(context, session, text(context.language, f"agent.example.{click.value}"))


@action("approve", "fix")
def _approve(context: Context, session: AgentSession, click: Click) -> str:
    """Run a program, as the model wrote it or as the visitor edited it. If it fails, the model repairs it."""
    run, options = _run(session), _options(context, session)
    session.show_run(context.agent_sessions.run_code(session.owner, run.id, click.value, options, max_repairs=options.max_repairs))
    return ""


@action("run")
def _run_again(context: Context, session: AgentSession, click: Click) -> str:
    """Run a program. If it fails, the model does not repair it."""
    session.show_run(context.agent_sessions.run_code(session.owner, _run(session).id, click.value, _options(context, session)))
    return ""


@action("continue")
def _continue(context: Context, session: AgentSession, click: Click) -> str:
    session.show_run(context.agent_sessions.resume(session.owner, _run(session).id, _options(context, session)))
    return ""


@action("save-py")
def _save_script(context: Context, session: AgentSession, click: Click) -> str:
    run = context.agent_sessions.get(session.owner, _run(session).id)
    return browser_message("download", name=f"{_file_name(run.title)}.py", text=to_script(run))


@action("save-ipynb")
def _save_notebook(context: Context, session: AgentSession, click: Click) -> str:
    run = context.agent_sessions.get(session.owner, _run(session).id)
    return browser_message("download", name=f"{_file_name(run.title)}.ipynb", text=to_notebook(run))


def _file_name(title: str) -> str:
    return "".join(char if char.isalnum() or char in " -_" else "_" for char in title).strip()[:60] or "run"
