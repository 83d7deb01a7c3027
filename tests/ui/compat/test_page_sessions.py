"""What is kept of every page; and what of it is overridden still exists in the installed Gradio."""

from __future__ import annotations

import inspect

import gradio as gr
import pytest
from gradio import routes
from gradio.state_holder import SessionState, StateHolder

from ui.compat.page_sessions import MAX_PAGES, PageSession, PageSessions

from ..scripted_engine import ScriptedEngine
from ..test_requests import endpoints, sent


@pytest.fixture
def page() -> gr.Blocks:
    with gr.Blocks() as page:
        gr.State([])
        gr.Textbox("words")
    page.queue()
    page.state_session_capacity = 3
    return page


@pytest.fixture
def sessions(page: gr.Blocks) -> PageSessions:
    made = PageSessions()
    made.set_blocks(page)
    return made


def parts(page: gr.Blocks) -> tuple[gr.State, gr.Textbox]:
    blocks = page.blocks.values()
    return next(each for each in blocks if isinstance(each, gr.State)), next(each for each in blocks if isinstance(each, gr.Textbox))


def test_a_page_has_its_own_state_and_its_own_components(page: gr.Blocks, sessions: PageSessions) -> None:
    state, box = parts(page)
    sessions["first"][state._id].append("seen")
    sessions["first"][box._id] = gr.Textbox("other words", render=False)
    assert (sessions["first"][state._id], sessions["second"][state._id]) == (["seen"], [])
    assert (sessions["first"][box._id].value, sessions["second"][box._id].value) == ("other words", "words")


def test_no_component_is_described(page: gr.Blocks, sessions: PageSessions) -> None:
    state, box = parts(page)
    session = sessions["first"]
    session[state._id] = ["new"]
    session[box._id] = gr.Textbox(render=False)
    session._update_config(box._id)
    session._update_value_in_config(box._id, "typed")
    assert session[state._id] == ["new"]
    assert list(session.components) == []
    assert [(each._id, value, is_expired) for each, value, is_expired in session.state_components] == [(state._id, ["new"], False)]


def test_of_too_many_pages_the_one_that_was_silent_for_longest_is_forgotten(sessions: PageSessions) -> None:
    for name in ("first", "second", "third", "first", "fourth"):
        sessions[name]
    assert list(sessions.session_data) == ["third", "first", "fourth"]
    assert set(sessions.time_last_used) == {"third", "first", "fourth"}


def test_a_forgotten_page_that_left_during_an_event_leaves_nothing_in_the_queue(page: gr.Blocks, sessions: PageSessions) -> None:
    waiting = page._queue.pending_event_ids_session
    waiting |= {"first": {"an event"}, "fourth": set()}
    page._queue.pending_messages_per_session |= {"first": ["news"], "fourth": []}
    for name in ("first", "second", "third", "fourth"):
        sessions[name]
    assert waiting == {"fourth": set()}
    assert page._queue.pending_messages_per_session == {"fourth": []}


def test_pages_share_a_component_that_was_updated_in_the_same_way(page: gr.Blocks, sessions: PageSessions) -> None:
    _, box = parts(page)
    for name, label in (("first", "Ad"), ("second", "Ad"), ("third", "名称")):
        sessions[name][box._id] = gr.Textbox(label=label, render=False)
    shown = [sessions[name][box._id] for name in ("first", "second", "third")]
    assert [each.label for each in shown] == ["Ad", "Ad", "名称"]
    assert shown[0] is shown[1]


def test_the_launched_app_keeps_pages_so(served: tuple[ScriptedEngine, str], launched: gr.Blocks) -> None:
    _, address = served
    number = next(each["id"] for each in endpoints(address) if not each["inputs"])
    sent(address, "POST", "/gradio_api/run/predict", {"fn_index": number, "data": [], "session_hash": "kept"})
    sessions = launched.app.state_holder
    assert isinstance(sessions["kept"], PageSession)
    assert sessions.capacity == MAX_PAGES
    assert launched.state_holder is sessions


def test_gradio_still_has_what_is_overridden() -> None:
    assert all(hasattr(SessionState, name) for name in ("__setitem__", "_update_config", "_update_value_in_config"))
    assert "self.session_data.popitem(last=False)" in inspect.getsource(StateHolder.update)
    assert "self.update(session_id)" in inspect.getsource(StateHolder.__getitem__)
    assert "SessionState(self.blocks)" in inspect.getsource(StateHolder.__getitem__)
    assert "self.state_holder = StateHolder()" in inspect.getsource(routes.App.__init__)
