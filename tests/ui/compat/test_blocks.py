"""The internals of Gradio that ui/compat and gradio_workarounds.js use still exist. If a test fails, read the new version's source."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path

import gradio as gr
import pytest
from gradio import route_utils
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from ui import compat

FRONT_END = Path(gr.__file__).parent / "templates" / "frontend"


def test_an_events_detail_is_kept_under_this_name() -> None:
    event = gr.EventData(None, {"do": "open", "id": "7"})
    assert compat.event_data(event) == {"do": "open", "id": "7"}


@pytest.mark.parametrize("data", [None, "text", 3, ["do"]], ids=repr)
def test_an_odd_detail_is_empty(data: object) -> None:
    assert compat.event_data(gr.EventData(None, data)) == {}


def test_the_queue_has_the_two_rates_and_uses_them() -> None:
    with gr.Blocks() as page:
        pass
    page.queue()
    for name in ("sleep_when_free", "progress_update_sleep_when_free"):
        assert isinstance(getattr(page._queue, name), float)
        assert f"self.{name}" in inspect.getsource(type(page._queue))
    compat.slow_down_queue(page)
    assert (page._queue.sleep_when_free, page._queue.progress_update_sleep_when_free) == (compat.QUEUE_S, compat.PROGRESS_S)


@functools.cache
def front_end() -> str:
    return "\n".join(path.read_text("utf-8", errors="replace") for path in sorted(FRONT_END.rglob("*")) if path.suffix in (".js", ".css"))


@pytest.mark.parametrize("part", [
    "queue/join", "queue/data", "process_completed", "close_stream", "unexpected_error",       # a new stream follows while an event is owed
    "structuredClone",                                                                         # plain values are not cloned
    "component_id", "show_progress", "Object.entries",                                         # hidden progress is left out
])
def test_the_front_end_still_has_what_the_workarounds_change(part: str) -> None:
    assert part in front_end()


def test_the_server_writes_stream_messages_in_the_form_that_is_read() -> None:
    """`data: {"msg":"...","event_id":"..."`: first the kind, then the event."""
    from gradio.server_messages import ProcessCompletedMessage

    assert list(ProcessCompletedMessage.model_fields)[:2] == ["msg", "event_id"]


def test_a_sign_in_is_kept_in_the_session_under_the_name_that_is_read() -> None:
    """ui/shared/visitor.py reads it, because gr.OAuthProfile is passed to a handler only where it is the type of an argument."""
    from gradio import oauth

    source = inspect.getsource(oauth)
    assert all(name in source for name in ('"oauth_info"', '"userinfo"', '"preferred_username"', '"access_token"', '"expires_at"'))


def test_the_pages_to_sign_in_and_out_have_the_addresses_that_the_page_links_to() -> None:
    from gradio import oauth

    assert all(address in inspect.getsource(oauth) for address in ("/login/huggingface", "/logout", "_target_url"))


@pytest.mark.parametrize("name", ["__theme", "user-row", "message-row", "thought-group", "data-testid"])
def test_the_front_end_still_has_the_names_that_page_js_and_the_styles_use(name: str) -> None:
    assert name in front_end()


def test_a_middleware_put_first_sees_a_request_before_gradios_own() -> None:
    seen: list[str] = []

    class First:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["type"])
            await Response("first")(scope, receive, send)

    with gr.Blocks() as page:
        pass
    app = App.create_app(page)
    compat.put_first(app, Middleware(First))
    answer = TestClient(app).get("/", headers={"Origin": "https://evil.example"})
    assert (answer.text, seen) == ("first", ["http"])
    assert "access-control-allow-credentials" not in answer.headers


def test_the_steps_of_a_request_have_these_names_and_arguments() -> None:
    assert list(inspect.signature(gr.Blocks.validate_inputs).parameters) == ["self", "block_fn", "inputs"]
    assert "self.validate_inputs(block_fn, inputs)" in inspect.getsource(gr.Blocks.preprocess_data)
    assert "self.preprocess_data(" in inspect.getsource(gr.Blocks.process_api)
    assert "inputs=" in inspect.getsource(route_utils.call_process_api)


def test_statistics_of_past_events_are_kept_and_summed_up_only_as_these_say() -> None:
    with gr.Blocks() as page:
        pass
    page.queue()
    source = inspect.getsource(type(page._queue))
    assert "len(self.event_analytics) > self.ANALYTICS_MAX_EVENTS" in source
    assert "self.events_recorded - self.event_count_at_last_cache\n            >= self.ANAYLTICS_CACHE_FREQUENCY" in source
    compat.skip_statistics(page)
    page._queue.events_recorded = 10**9
    assert page._queue.compute_analytics_summary([{"function": "f"}]) == {"functions": {}}
