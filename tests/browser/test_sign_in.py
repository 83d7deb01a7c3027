"""The app as a Space that offers signing in: with a session as Gradio's sign-in leaves it, since no Hugging Face can be asked here."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import gradio.oauth
import pytest
from itsdangerous import TimestampSigner
from playwright.sync_api import Page, expect

from tests.ui.test_request_guard import sent

from .conftest import Visitors, app_here, free_port
from .test_chat import Visit, send, wait_for_end, wait_for_model
from .test_conversations import listed

CLIENT_SECRET = "a secret of this Space"
SPACE = {"SYSTEM": "spaces", "SPACE_ID": "me/mindcubes", "OAUTH_CLIENT_ID": "client", "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
         "SPACE_HOST": "me-mindcubes.hf.space", "OAUTH_SCOPES": "openid profile", "OPENID_PROVIDER_URL": "http://127.0.0.1:9",
         "GRADIO_SERVER_NAME": "127.0.0.1"}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Gradio reads its part of the environment when it is imported, and the rest when it builds and serves a page."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SPACE.items():
            patch.setenv(name, value)
            if hasattr(gradio.oauth, name):
                patch.setattr(gradio.oauth, name, value)
        with app_here(tmp_path_factory.mktemp("space"), **SPACE, GRADIO_SERVER_PORT=str(free_port())) as address:
            yield address


def session_cookie(name: str) -> str:
    """As Gradio's sign-in leaves it."""
    session = {"oauth_info": {"access_token": "hf_secret_token", "scope": "openid profile", "expires_at": int(time.time()) + 600,
                              "userinfo": {"sub": "1", "name": name, "preferred_username": name, "profile": "", "picture": ""}}}
    key = hashlib.sha256(f"{CLIENT_SECRET}-v4".encode()).hexdigest()        # gradio 6.31, `attach_oauth`
    return TimestampSigner(key).sign(base64.b64encode(json.dumps(session).encode())).decode()


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/gradio_api/queue/join"), ("POST", "/gradio_api/call/chat"), ("GET", "/gradio_api/info")])
def test_another_site_cannot_use_the_cookie_of_an_account(space: str, method: str, path: str) -> None:
    foreign = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"}
    body = {"data": []} if method == "POST" else None
    status, headers, text = sent(space, method, path, body, Cookie=f"session={session_cookie('ayse')}", **foreign)
    assert (status, "another site" in text) == (403, True)
    assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize("target", [
    "https://evil.example/x", "//evil.example/x", "////evil.example", "/\\evil.example", "https:evil.example"])
@pytest.mark.parametrize("path", ["/logout", "/login/huggingface"])
def test_signing_in_and_out_leads_to_no_other_site(space: str, path: str, target: str) -> None:
    _, headers, _ = sent(space, "GET", f"{path}?_target_url={quote(target)}", Cookie=f"session={session_cookie('ayse')}")
    place = urlsplit(headers.get("location", "/"))
    assert place.netloc in ("", urlsplit(space).netloc, "127.0.0.1:9")      # the last one is the sign-in page of this test
    assert not headers.get("location", "/").startswith(("//", "/\\"))


def sign_in(visitors: Visitors, address: str, name: str) -> Page:
    """Another browser, in which `name` is signed in."""
    context = visitors.arrive()
    context.add_cookies([{"name": "session", "value": session_cookie(name), "url": address}])
    page = context.new_page()
    page.goto(address)
    page.locator(".mc-status").wait_for()
    return page


def test_an_anonymous_visitor_can_sign_in(visit: Visit, space: str) -> None:
    page = visit(space)
    link = page.get_by_role("link", name="Sign in with Hugging Face")
    expect(link).to_be_visible()
    expect(link).to_have_attribute("href", "login/huggingface?_target_url=/")


def test_a_space_can_be_duplicated_and_embedded(visit: Visit, space: str) -> None:
    page = visit(space)
    expect(page.get_by_role("link", name="Duplicate this Space")).to_have_attribute(
        "href", "https://huggingface.co/spaces/me/mindcubes?duplicate=true")
    page.get_by_text("Embed this Space").click()
    expect(page.locator(".mc-embed pre")).to_contain_text('<iframe src="https://me-mindcubes.hf.space"')


def test_an_accounts_chats_are_in_each_of_its_browsers_and_no_one_elses(visitors: Visitors, space: str) -> None:
    page = sign_in(visitors, space, "ayse")
    expect(page.get_by_role("link", name="Sign out ayse")).to_be_visible()
    assert "hf_secret_token" not in page.content()
    wait_for_model(page)
    send(page, "Hello there")
    wait_for_end(page)
    elsewhere, other = sign_in(visitors, space, "ayse"), sign_in(visitors, space, "li")
    expect(listed(elsewhere)).to_have_text(["Hello there"])
    expect(other.get_by_role("link", name="Sign out li")).to_be_visible()
    expect(listed(other)).to_have_count(0)
