"""The visitor's identity and time zone, read from the page's cookies and the sign-in session."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone

import gradio as gr

from engine import Secret
from engine.library import Visitor

KEY_COOKIE, ZONE_COOKIE = "mindcubes_key", "mindcubes_zone"      # set by page.js
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Account:
    """A Hugging Face account that signed in on a Space. `token` can read what the account allowed this Space to read."""

    name: str
    token: Secret


def account_of(request: gr.Request | None) -> Account | None:
    """Return the account that signed in; None if none did, or if the sign-in has expired.

    It is read from the session that Gradio's sign-in keeps in a signed cookie.
    """
    scope = getattr(getattr(request, "request", None), "scope", None) or {}
    info = (scope.get("session") or {}).get("oauth_info")
    if not info or info["expires_at"] <= time.time():
        return None
    return Account(info["userinfo"]["preferred_username"], Secret(info["access_token"]))


def visitor_of(request: gr.Request | None) -> Visitor:
    """Return the visitor for the engine. The name is that of the account, else that of the login to this app."""
    account = account_of(request)
    if account is not None:
        return Visitor(owner_of(request), account.token, account.name)
    return Visitor(owner_of(request), name=getattr(request, "username", None) or "")


def owner_of(request: gr.Request | None) -> str:
    """Return the owner of this visitor's chats.

    It is the account, else the name of the login, else the random key that the browser keeps, else the page alone. It is hashed, so
    that nobody who reads the database can act as an owner.
    """
    account, username = account_of(request), getattr(request, "username", None)
    key = ((request.cookies or {}) if request else {}).get(KEY_COOKIE, "")
    if account is not None:
        who = f"account {account.name}"
    elif username:
        who = f"user {username}"
    elif _KEY.fullmatch(key):
        who = f"browser {key}"
    else:
        who = f"page {getattr(request, 'session_hash', None)}"
    return hashlib.sha256(who.encode()).hexdigest()


def caller_of(request: gr.Request | None) -> str:
    """Return whose work a program's request is: its owner if it has one, else the address it comes from, hashed like an owner."""
    has_owner = request is None or account_of(request) or getattr(request, "username", None) or (request.cookies or {}).get(KEY_COOKIE)
    if has_owner:
        return owner_of(request)
    host = getattr(getattr(request, "client", None), "host", "")
    return hashlib.sha256(f"address {host}".encode()).hexdigest()


def zone_of(request: gr.Request | None) -> timezone:
    """Return the visitor's offset from UTC, for dates and times."""
    minutes = ((request.cookies or {}) if request else {}).get(ZONE_COOKIE, "")
    known = re.fullmatch(r"-?\d{1,3}", minutes) and abs(int(minutes)) <= 14 * 60
    return timezone(timedelta(minutes=int(minutes))) if known else UTC
