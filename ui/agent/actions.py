"""What the Code agent tab does: one function for each button, found by its name. Each changes the page's session.

Nothing that comes from the page is trusted: whose run it is, and what may run where, is decided in the engine's agent_sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import AgentOptions, AgentSessions, EngineError
from engine.agent import AgentRun, to_notebook, to_script

from ..shared.errors import PageError
from ..shared.html import browser_message
from ..shared.language import text
from .session import AgentSession
from .view import BUILTIN_EXAMPLES, EXAMPLES

MAX_VALUE_CHARS = 100_000
MAX_UPLOADS = 20


@dataclass(frozen=True)
class Hands:
    """What every act works with. `approves`: whether programs of the model wait for a person."""

    agent_sessions: AgentSessions
    language: str
    approves: bool = True

    @property
    def options(self) -> AgentOptions:
        return replace(self.agent_sessions.options, approve_first=self.approves)


Act = Callable[[Hands, AgentSession, str], str]       # returns a letter for page.js, or ""
_ACTS: dict[str, Act] = {}


def perform(hands: Hands, session: AgentSession, name: Any, value: Any) -> str:
    """Do what a button asks for; what goes wrong is shown above the line one writes in, and nothing typed is lost."""
    session.problem = None
    try:
        act = _ACTS.get(str(name))
        if act is None:
            raise PageError("error.gone")
        return act(hands, session, str(value or "")[:MAX_VALUE_CHARS])
    except (PageError, EngineError) as error:
        session.problem = error
        return ""


def _act(name: str) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        _ACTS[name] = act
        return act
    return register


def _run(session: AgentSession) -> AgentRun:
    if session.run is None:
        raise PageError("error.gone")
    return session.run


def _place(session: AgentSession) -> str:
    """Keeps the address of the page in step with what is shown, so that a reload finds it."""
    return browser_message("run", run=session.run.id if session.run else "")


def start(hands: Hands, session: AgentSession, task: str) -> str:
    """Begin a task, or ask what comes after one."""
    session.problem = None
    if not task.strip():
        session.problem = PageError("agent.nothing")
        return ""
    try:
        run = hands.agent_sessions.start(session.owner, session.run.id if session.run else None, task, session.uploads, hands.options)
    except EngineError as error:
        session.problem = error
        return ""
    session.uploads = []
    session.turn_to(run)
    return browser_message("asked", run=run.id, text=task)


def attach(session: AgentSession, paths: list[str]) -> None:
    session.problem = None
    known = {path.name: path for path in (*session.uploads, *(Path(path) for path in paths))}      # a newer one of a name replaces it
    if len(known) > MAX_UPLOADS:
        session.problem = PageError("agent.too_many")
    session.uploads = list(known.values())[:MAX_UPLOADS]


@_act("drop")
def _drop(hands: Hands, session: AgentSession, value: str) -> str:
    if value.isdecimal() and int(value) < len(session.uploads):
        session.uploads.pop(int(value))
    return ""


@_act("open")
def _open(hands: Hands, session: AgentSession, value: str) -> str:
    session.turn_to(hands.agent_sessions.get(session.owner, value))
    return _place(session)


@_act("new")
def _new(hands: Hands, session: AgentSession, value: str) -> str:
    session.turn_to(None)
    session.uploads = []
    return _place(session)


@_act("delete")
def _delete(hands: Hands, session: AgentSession, value: str) -> str:
    hands.agent_sessions.delete(session.owner, value)
    if session.run is not None and session.run.id == value:
        session.turn_to(None)
    return _place(session)


@_act("example")
def _example(hands: Hands, session: AgentSession, value: str) -> str:
    if value not in (*EXAMPLES, *BUILTIN_EXAMPLES):
        raise PageError("error.gone")
    return start(hands, session, text(hands.language, f"agent.example.{value}"))


@_act("approve")
@_act("fix")
def _approve(hands: Hands, session: AgentSession, value: str) -> str:
    """Run a program as it was written or edited, and let the model repair it."""
    run = _run(session)
    session.turn_to(hands.agent_sessions.run_code(session.owner, run.id, value, hands.options, max_repairs=hands.options.max_repairs))
    return ""


@_act("run")
def _again(hands: Hands, session: AgentSession, value: str) -> str:
    """Run a program without the model."""
    session.turn_to(hands.agent_sessions.run_code(session.owner, _run(session).id, value, hands.options))
    return ""


@_act("continue")
def _continue(hands: Hands, session: AgentSession, value: str) -> str:
    session.turn_to(hands.agent_sessions.resume(session.owner, _run(session).id, hands.options))
    return ""


@_act("save-py")
def _save_script(hands: Hands, session: AgentSession, value: str) -> str:
    run = hands.agent_sessions.get(session.owner, _run(session).id)
    return browser_message("download", name=f"{_file_name(run.title)}.py", text=to_script(run))


@_act("save-ipynb")
def _save_notebook(hands: Hands, session: AgentSession, value: str) -> str:
    run = hands.agent_sessions.get(session.owner, _run(session).id)
    return browser_message("download", name=f"{_file_name(run.title)}.ipynb", text=to_notebook(run))


def _file_name(title: str) -> str:
    return "".join(char if char.isalnum() or char in " -_" else "_" for char in title).strip()[:60] or "run"
