from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InvalidRequest
from ui.shared.actions import Actions, Click, whole_number
from ui.shared.context import Context, build_services
from ui.shared.errors import PageError

from ..scripted_engine import ScriptedEngine

Session = list[str]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context.of(build_services(ScriptedEngine(data_dir=tmp_path)), None)  # type: ignore[arg-type]


def on_error(context: Context, session: Session, error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def test_an_action_gets_the_session_and_the_click(context: Context) -> None:
    actions: Actions[Session, Click] = Actions(lambda context, session, error: Click("failed"))

    @actions("rename")
    def rename(context: Context, session: Session, click: Click) -> Click:
        session.append(click.value)
        return click

    session: Session = []
    assert actions.perform(context, session, "rename", "c1", "New title") == Click("rename", "c1", "New title")
    assert session == ["New title"]


def test_one_function_can_have_several_names(context: Context) -> None:
    actions: Actions[Session, str] = Actions(on_error)
    actions("pin", "unpin")(lambda context, session, click: click.name)
    assert [actions.perform(context, [], name) for name in ("pin", "unpin")] == ["pin", "unpin"]


def test_a_name_is_registered_once() -> None:
    actions: Actions[Session, str] = Actions(on_error)
    actions("open")(lambda context, session, click: "")
    with pytest.raises(ValueError, match="'open'"):
        actions("open")(lambda context, session, click: "")


@pytest.mark.parametrize("name", ["missing", None, 7, ["open"], "__init__"])
def test_an_unknown_name_is_refused(context: Context, name: object) -> None:
    called: list[str] = []
    actions: Actions[Session, str] = Actions(on_error, before=lambda session, name: called.append(name))
    assert actions.perform(context, [], name) == "PageError: error.gone"
    assert called == []


@pytest.mark.parametrize("error", [PageError("error.busy"), InvalidRequest("seed", "x", "empty or a whole number")])
def test_refusals_of_the_page_and_the_engine_become_results(context: Context, error: Exception) -> None:
    actions: Actions[Session, str] = Actions(on_error)

    @actions("fail")
    def fail(context: Context, session: Session, click: Click) -> str:
        raise error

    assert actions.perform(context, [], "fail") == f"{type(error).__name__}: {error}"


def test_a_bug_is_raised(context: Context) -> None:
    actions: Actions[Session, str] = Actions(on_error)

    @actions("fail")
    def fail(context: Context, session: Session, click: Click) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        actions.perform(context, [], "fail")


def test_before_is_called_with_the_name_ahead_of_the_action(context: Context) -> None:
    actions: Actions[Session, str] = Actions(on_error, before=lambda session, name: session.append(name))
    actions("open")(lambda context, session, click: session[-1])
    assert actions.perform(context, [], "open") == "open"


@pytest.mark.parametrize(("given", "kept"), [(None, ""), ("x" * 30, "x" * 10), (0, "0"), ({"a": 1}, "{'a': 1}")])
def test_values_become_text_of_a_limited_length(context: Context, given: object, kept: str) -> None:
    actions: Actions[Session, str] = Actions(on_error, max_value_chars=10)
    actions("target")(lambda context, session, click: click.target)
    actions("value")(lambda context, session, click: click.value)
    assert actions.perform(context, [], "target", given) == kept
    assert actions.perform(context, [], "value", "", given) == kept


@pytest.mark.parametrize("typed", ["", "-1", "1.5", "x", "9" * 19, "²"])
def test_values_that_are_not_whole_numbers_are_refused(typed: str) -> None:
    with pytest.raises(PageError, match=r"error\.gone"):
        whole_number(typed)
    assert whole_number("12") == Click("open", "12").number == 12
