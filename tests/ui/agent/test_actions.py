"""Actions of the Code agent tab, called without a page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.agent import AgentRun, Step, Task
from tests.ui.scripted_engine import ScriptedEngine
from ui.agent import actions, view
from ui.agent.session import AgentSession
from ui.shared.context import Context, build_services

PAGE_ONLY = {"edit"}        # opens the editor in the browser


@pytest.fixture
def context() -> Context:
    return Context.of(build_services(ScriptedEngine()), None)  # type: ignore[arg-type]


def problem_after(context: Context, session: AgentSession, name: str, value: str = "") -> str:
    assert actions.perform(context, session, name, value=value) == ""
    return str(session.problem)


def test_an_unknown_action_and_an_unknown_example_are_refused(context: Context) -> None:
    assert problem_after(context, AgentSession(), "format-disk") == "error.gone"
    assert problem_after(context, AgentSession(), "example", "rm -rf") == "error.gone"


def test_actions_that_need_a_run_are_refused_without_one(context: Context) -> None:
    for name in ("approve", "fix", "run", "continue", "save-py", "save-ipynb"):
        assert problem_after(context, AgentSession(), name, "print(1)") == "error.gone"


def test_an_empty_task_is_refused_and_uploads_stay(context: Context, tmp_path: Path) -> None:
    session = AgentSession(uploads=[tmp_path / "a.csv"])
    assert actions.start(context, session, " ") == ""
    assert str(session.problem) == "agent.nothing"
    assert session.uploads == [tmp_path / "a.csv"]


def test_a_newer_upload_replaces_one_of_the_same_name_and_too_many_are_cut(tmp_path: Path) -> None:
    session = AgentSession()
    actions.attach(session, [str(tmp_path / "old" / "a.csv")])
    actions.attach(session, [str(tmp_path / "new" / "a.csv")])
    assert session.uploads == [tmp_path / "new" / "a.csv"]
    actions.attach(session, [str(tmp_path / f"{number}.csv") for number in range(30)])
    assert len(session.uploads) == actions.MAX_UPLOADS
    assert str(session.problem) == "agent.too_many"


def test_removing_an_upload_needs_its_position_and_removes_only_that_one(context: Context, tmp_path: Path) -> None:
    session = AgentSession(uploads=[tmp_path / "a", tmp_path / "b"])
    for value in ("7", "-1", "x", ""):
        actions.perform(context, session, "drop", value=value)
    assert len(session.uploads) == 2
    actions.perform(context, session, "drop", value="0")
    assert session.uploads == [tmp_path / "b"]


@pytest.mark.parametrize("state", ["approval", "done", "stopped", "failed", "interrupted"])
def test_every_button_of_the_timeline_has_an_action(state: str) -> None:
    step = Step(1, "over", code="print(1)", stdout="1\n")
    run = AgentRun("r", "title", (replace(Task("task", steps=(step,), reason="stopped"), state=state),))  # type: ignore[arg-type]
    page = view.timeline_html(run, "en", None) + view.runs_html([run], "", "en") + view.welcome_html("en", is_builtin=False)
    names = set(re.findall(r"data-agent=(?:\"|&quot;)([\w-]+)", page)) - PAGE_ONLY
    assert {"run", "fix", "open", "delete", "example"} <= names
    for name in names:
        assert name in actions.action._actions


def test_text_of_models_and_programs_is_escaped() -> None:
    attack = "<script>alert(1)</script>"
    step = Step(1, "over", prose=attack, code=attack, stdout=attack, error=attack, thoughts=attack)
    run = AgentRun("r", attack, (Task(attack, state="done", steps=(step,), answer=attack),))
    assert attack not in view.timeline_html(run, "en", None)
    assert attack not in view.runs_html([run], "r", "en")
