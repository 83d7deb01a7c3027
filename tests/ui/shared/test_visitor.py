"""Who is visiting: the account of a sign-in, the name an app asked for, a browser's key."""

from __future__ import annotations

import time

import gradio as gr
import pytest
from starlette.requests import Request

from engine import Settings
from ui.chat.sidebar import sign_html
from ui.shared.visitor import Account, account_of, owner_of, visitor_of

KEY = "0123456789abcdef" * 2


def asking(*, key: str = KEY, username: str | None = None, runs_s: float | None = None, name: str = "ayse") -> gr.Request:
    """`runs_s`: how long a sign-in goes on, None for none. The session is as Gradio's sign-in fills it."""
    scope = {"type": "http", "headers": [(b"cookie", f"mindcubes_key={key}".encode())]}
    if runs_s is not None:
        scope["session"] = {"oauth_info": {"access_token": "hf_of_" + name, "expires_at": time.time() + runs_s,
                                           "userinfo": {"preferred_username": name}}}
    return gr.Request(request=Request(scope), username=username, session_hash="page")


def test_a_sign_in_gives_a_name_and_a_token_that_is_never_shown() -> None:
    visitor = visitor_of(asking(runs_s=60))
    assert (visitor.name, visitor.token.reveal()) == ("ayse", "hf_of_ayse")
    assert "hf_of_ayse" not in repr(visitor)
    assert "hf_of_ayse" not in repr(account_of(asking(runs_s=60)))


def test_an_expired_sign_in_is_ignored() -> None:
    assert account_of(asking(runs_s=-1)) is None
    assert owner_of(asking(runs_s=-1)) == owner_of(asking())


def test_chats_follow_the_account_to_another_browser() -> None:
    here, there = asking(runs_s=60), asking(key="f" * 32, runs_s=60)
    assert owner_of(here) == owner_of(there)
    assert owner_of(here) != owner_of(asking())
    assert owner_of(here) != owner_of(asking(runs_s=60, name="li"))


def test_an_account_and_a_login_name_of_an_app_are_different_owners() -> None:
    assert owner_of(asking(runs_s=60, name="ayse")) != owner_of(asking(username="ayse"))
    assert visitor_of(asking(username="ayse")).name == "ayse"


@pytest.mark.parametrize("language", ["en", "tr", "zh"])
def test_visitors_can_sign_in_and_out(language: str) -> None:
    assert 'href="login/huggingface?' in sign_html(None, language)
    out = sign_html(Account("<b>", visitor_of(asking(runs_s=60)).token), language)
    assert 'href="logout?' in out
    assert "&lt;b&gt;" in out


def test_signing_in_is_offered_if_the_space_supports_it() -> None:
    space = {"SPACE_ID": "me/space", "OAUTH_CLIENT_ID": "a", "OAUTH_CLIENT_SECRET": "b", "OAUTH_SCOPES": "openid",
             "OPENID_PROVIDER_URL": "c"}
    assert Settings.from_env(space).can_sign_in
    assert not Settings.from_env({**space, "OAUTH_CLIENT_ID": ""}).can_sign_in
    assert not Settings.from_env({**space, "SPACE_ID": ""}).can_sign_in
