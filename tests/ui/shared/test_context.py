from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import gradio as gr
import pytest
from starlette.requests import Request

from ui.shared.context import Context, PageBuilder, Services, build_services

from ..scripted_engine import ScriptedEngine


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return build_services(ScriptedEngine(data_dir=tmp_path))  # type: ignore[arg-type]


def asking(cookie: str = "", accepted: str = "") -> gr.Request:
    headers = [(b"cookie", cookie.encode()), (b"accept-language", accepted.encode())]
    return gr.Request(request=Request({"type": "http", "headers": headers}), username=None, session_hash="page")


def test_services_that_are_given_are_kept_and_the_others_are_created(services: Services) -> None:
    again = build_services(services.engine, services.conversations)
    assert again.conversations is services.conversations
    assert again.benchmarks.jobs is again.library.jobs


def test_a_context_has_the_visitor_the_language_and_the_time_zone(services: Services) -> None:
    key = "0123456789abcdef" * 2
    request = asking(f"mindcubes_key={key}; mindcubes_language=tr; mindcubes_zone=180")
    context = Context.of(services, request)
    assert context.engine is services.engine
    assert (context.language, context.zone.utcoffset(None), context.account) == ("tr", timedelta(hours=3), None)
    assert context.visitor.owner == Context.of(services, asking(f"mindcubes_key={key}")).visitor.owner
    assert context.visitor.owner != Context.of(services, asking()).visitor.owner


def test_a_request_without_cookies_gets_english_and_utc(services: Services) -> None:
    context = Context.of(services, asking())
    assert (context.language, context.zone.utcoffset(None)) == ("en", timedelta(0))


def test_labels_and_choices_are_translated_in_one_update_for_each_component(services: Services) -> None:
    page = PageBuilder(services)
    with gr.Blocks():
        button = page.labelled(gr.Button, {"value": "chat.send"})
        sort = page.chooser("filter.sort", {"downloads": "filter.sort.downloads", "likes": "filter.sort.likes"})
    updates = page.text_updates("tr")
    assert set(updates) == {button, sort}
    assert set(updates[sort]) == {"label", "choices", "__type__"}
    assert [value for _, value in updates[sort]["choices"]] == ["downloads", "likes"]
    assert updates != page.text_updates("en")


def test_labels_and_choices_can_be_translated_alone(services: Services) -> None:
    page = PageBuilder(services)
    with gr.Blocks():
        button = page.labelled(gr.Button, {"value": "chat.send"})
        sort = page.chooser("filter.sort", {"downloads": "filter.sort.downloads"})
    assert set(page.text_updates("tr", choices=False)[sort]) == {"label", "__type__"}
    assert set(page.text_updates("tr", labels=False)) == {sort}
    assert page.text_updates("tr", labels=False, choices=False) == {}
    assert button in page.text_updates("tr", choices=False)
