"""No other site can use the page with a visitor's cookies: raw HTTP, as a browser would send it."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from engine import Settings
from ui.request_guard import host_name, local_hosts, refusal

from .scripted_engine import ScriptedEngine

EVIL = "https://evil.example"
JOIN = "/gradio_api/queue/join"


def sent(address: str, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], str]:
    """The status, the headers by their lower-case names, and the text of an answer."""
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=20)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", **names})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode("utf-8", "replace")
    connection.close()
    return found


FOREIGN = {"by its origin": {"Origin": EVIL},
           "as a browser says": {"Origin": EVIL, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"},
           "without an origin": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, "from a file": {"Origin": "null"},
           "of a neighbour": {"Origin": EVIL, "Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
           "by a form": {"Origin": EVIL, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(("method", "path"), [
    ("POST", JOIN), ("POST", "/gradio_api/call/chat"), ("POST", "/gradio_api/upload"), ("GET", "/gradio_api/queue/data?session_hash=x"),
    ("GET", "/gradio_api/info"), ("POST", "/"), ("DELETE", "/gradio_api/anything")])
def test_a_request_of_another_site_is_refused_without_credentials(address: str, method: str, path: str, headers: dict[str, str]) -> None:
    status, found, text = sent(address, method, path, {"data": []} if method == "POST" else None, **headers)
    assert status == 403
    assert "another site" in json.loads(text)["error"]
    assert not [name for name in found if name.startswith("access-control-")]


@pytest.mark.parametrize("path", [JOIN, "/gradio_api/call/chat", "/"])
def test_a_preflight_request_of_another_site_gets_no_permission(address: str, path: str) -> None:
    status, found, _ = sent(address, "OPTIONS", path, Origin=EVIL, Access_Control_Request_Method="POST",
                            Access_Control_Request_Headers="content-type")
    assert status == 403
    assert not [name for name in found if name.startswith("access-control-")]


def test_a_host_name_that_was_rebound_to_this_address_is_refused(address: str) -> None:
    rebound = {"Host": "evil.example:7860", "Origin": "http://evil.example:7860", "Sec_Fetch_Site": "same-origin"}
    status, _, text = sent(address, "POST", JOIN, {}, **rebound)
    assert status == 403
    assert "MINDCUBES_ALLOWED_HOSTS" in json.loads(text)["error"]


@pytest.mark.parametrize("headers", [
    {}, {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"}, {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}, {"Sec_Fetch_Site": "same-origin"}],
    ids=["a program", "typed", "a link", "the frame of a Space", "a reload"])
def test_the_page_can_be_opened_from_anywhere(address: str, headers: dict[str, str]) -> None:
    status, _, text = sent(address, "GET", "/", **headers)
    assert (status, "MindCubes" in text) == (200, True)


def test_programs_and_the_page_itself_call_the_endpoint(address: str) -> None:
    own = {"Origin": address.rstrip("/"), "Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}
    for headers in ({}, own, {"Origin": address.rstrip("/")}):
        status, _, text = sent(address, "POST", "/gradio_api/call/chat", {"data": ["hi", ""]}, **headers)
        assert status == 200, text


@pytest.mark.parametrize(("host", "is_known"), [
    ("localhost:7860", True), ("127.0.0.1:7860", True), ("[::1]:7860", True), ("192.168.1.7:7860", True), ("", True), ("chat.home", True),
    ("evil.example", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False)])
def test_a_local_page_accepts_the_names_of_its_machine(host: str, is_known: bool) -> None:
    assert (refusal("GET", "/", {"host": host}, local_hosts(("chat.home",))) == "") is is_known


def test_a_public_page_accepts_any_name_and_a_proxy_may_change_it() -> None:
    page = {"host": "inside:7860", "origin": "https://me-space.hf.space"}
    assert refusal("POST", JOIN, page, None) != ""
    assert refusal("POST", JOIN, {**page, "x-forwarded-host": "me-space.hf.space"}, None) == ""
    assert refusal("POST", JOIN, {**page, "sec-fetch-site": "same-origin"}, None) == ""


@pytest.mark.parametrize(("host", "name"), [("Example.ORG.:80", "example.org"), ("[2001:db8::1]:80", "2001:db8::1"), ("", "")])
def test_a_host_is_normalized_to_its_name(host: str, name: str) -> None:
    assert host_name(host) == name


def test_hosts_are_read_from_the_environment() -> None:
    assert Settings.from_env({"MINDCUBES_ALLOWED_HOSTS": "chat.home, box.lan"}).allowed_hosts == ("chat.home", "box.lan")


@pytest.mark.parametrize(("route", "expected"), [("/gradio_api/file=", 200), ("/gradio_api/file", 403)], ids=["now", "older route"])
def test_a_file_of_a_run_cannot_run_scripts_of_the_page(served: tuple[ScriptedEngine, str], route: str, expected: int) -> None:
    engine, address = served
    path = engine.settings.data_dir / "agent" / "run" / "page.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<script>alert(1)</script>")
    status, headers, _ = sent(address, "GET", f"{route}{path}")
    assert status == expected
    assert headers["content-security-policy"].startswith("sandbox;")


def test_a_site_that_the_operator_invited_may_use_the_api_and_nothing_else() -> None:
    headers = {"host": "localhost", "origin": "https://friend.example", "sec-fetch-site": "cross-site"}
    invited = ("https://friend.example",)
    assert refusal("POST", "/v1/chat/completions", headers, {"localhost"}, invited) == ""
    assert refusal("POST", "/gradio_api/queue/join", headers, {"localhost"}, invited)
    assert refusal("POST", "/v1/chat/completions", {**headers, "host": "evil.example"}, {"localhost"}, invited)
    assert refusal("POST", "/v1/chat/completions", {**headers, "origin": "https://evil.example"}, {"localhost"}, invited)
