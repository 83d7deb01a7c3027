"""Who is visiting, and where on earth: what the page's cookies say."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, timedelta, timezone

import gradio as gr

KEY_COOKIE, ZONE_COOKIE = "mindcubes_key", "mindcubes_zone"      # made by page.js
_KEY = re.compile(r"[0-9a-f]{32}")


def owner_of(request: gr.Request | None) -> str:
    """To whom this visitor's chats belong: the signed-in name, else the random key kept by the browser, else this page only.

    Hashed, so that the database opens nobody's chats.
    """
    username = getattr(request, "username", None)
    key = ((request.cookies or {}) if request else {}).get(KEY_COOKIE, "")
    if username:
        who = f"user {username}"
    elif _KEY.fullmatch(key):
        who = f"browser {key}"
    else:
        who = f"page {getattr(request, 'session_hash', None)}"
    return hashlib.sha256(who.encode()).hexdigest()


def zone_of(request: gr.Request | None) -> timezone:
    """The visitor's offset from UTC, for days and times."""
    minutes = ((request.cookies or {}) if request else {}).get(ZONE_COOKIE, "")
    known = re.fullmatch(r"-?\d{1,3}", minutes) and abs(int(minutes)) <= 14 * 60
    return timezone(timedelta(minutes=int(minutes))) if known else UTC
