"""The rules of a public page (engine/public_mode.py), each tried over HTTP, as someone would who never opens the page."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit

import gradio as gr
import pytest
from fastapi.routing import iter_route_contexts
from gradio.route_utils import delete_files_created_by_app

from engine import Conversations, Engine, Finished, Hub, Library, Settings, ToolCallDelta
from engine.limits import OF_PUBLIC
from engine.public_mode import MAX_FILE_BYTES, MAX_REQUEST_BYTES, RULES, table
from tests import hub_standin, own_thread
from ui.app import build_app, launch
from ui.request_guard import is_route, limited
from ui.shared.language import text

from .scripted_engine import USAGE, ScriptedEngine, answer
from .test_request_guard import sent

ROOT = Path(__file__).parents[2]
NUMBERS = count(1)


@dataclass
class Visitor:
    """A program that calls the hidden endpoints of a page, with the key of one browser."""

    address: str
    key: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        number = next(NUMBERS)
        self.key, self.session = self.key or f"{number:032x}", f"page{number}"
        _, _, text = sent(self.address, "GET", "/config")
        self.config = json.loads(text)
        self.parts = {part["id"]: part["props"] for part in self.config["components"]}

    def call(self, elem_id: str, event: str, detail: object = None, first: object = None, **headers: str) -> str:
        """Trigger an event of a component; with `first` instead of the first input's value. The answer, as text."""
        endpoint = next(each for each in self.config["dependencies"] if each["backend_fn"] and any(
            name == event and self.parts.get(target, {}).get("elem_id", "") == elem_id for target, name in each["targets"]))
        data = [self.parts[part].get("value") for part in endpoint["inputs"]]
        data[:1] = [first] if first is not None else data[:1]
        return self.results(endpoint["id"], data, detail, **headers)

    def open(self, query: str = "") -> str:
        """Open the page at an address. The answer of the event that shows a chat."""
        endpoint = next(each for each in self.config["dependencies"] if each["api_name"] == "arrive")
        return self.results(endpoint["id"], [None] * len(endpoint["inputs"]), query=query)

    def results(self, endpoint: int, data: list[object], detail: object = None, query: str = "", **headers: str) -> str:
        """All results of one event, through the queue."""
        body = {"fn_index": endpoint, "data": data, "session_hash": self.session, "event_data": detail}
        sent(self.address, "POST", f"/gradio_api/queue/join{query}", body, Cookie=f"mindcubes_key={self.key}", **headers)
        return sent(self.address, "GET", f"/gradio_api/queue/data?session_hash={self.session}")[2]

    def models(self, name: str, value: str = "") -> str:
        return self.call("mc-listing", "act", {"do": name, "value": value})


@pytest.fixture(scope="module")
def page_engine() -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.settings = replace(engine.settings, is_public=True)
    engine.visitors.set_limits(OF_PUBLIC)
    return engine


@pytest.fixture(scope="module")
def real_address(new_engine: Callable[..., Engine], llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A public page over the built-in model, with a stand-in of the hub."""
    folder = tmp_path_factory.mktemp("public")
    settings = Settings(device="cpu", data_dir=folder / "data", cache_dir=folder / "cache", is_public=True)
    with ExitStack() as stack:
        stack.enter_context(hub_standin.online())
        hub = stack.enter_context(hub_standin.running({"me/other": llama_folder}))
        engine = new_engine("builtin", settings)
        conversations = Conversations(engine)
        page = build_app(engine, conversations, Library(engine, conversations, Hub(settings, hub.address, timeout_s=2)))
        yield launch(page, engine, server_name="127.0.0.1")
        page.close(verbose=False)
        conversations.close()


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """Another server: its address, and the paths that were requested there."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_POST = do_GET

        def log_message(self, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_the_readme_lists_the_rules_and_each_has_its_test() -> None:
    assert table() in (ROOT / "README.md").read_text("utf-8")
    assert [rule.name for rule in RULES if f"test_rule_{rule.name}" not in globals()] == []


def test_rule_models(real_address: str) -> None:
    visitor = Visitor(real_address)
    visitor.models("choose", "me/other")
    assert "is not among the models that this public page offers" in visitor.models("download")
    assert "is not among the models that this public page offers" in visitor.models("load")
    folder = visitor.models("choose", str(ROOT / "engine" / "models" / "builtin"))
    assert "model_type" not in folder
    assert "mc-problem" in folder


def test_rule_swap(real_address: str) -> None:
    someone, other = Visitor(real_address), Visitor(real_address)
    assert "mc-foot" in someone.call("mc-send", "click", first="hello")
    other.models("choose", "builtin")
    assert "Someone is using the loaded model" in other.models("load")


@pytest.mark.parametrize(("name", "value"), [("unload", ""), ("delete", "me/other"), ("delete-saved", "int4 me/other"), ("save", "")])
def test_rule_operator(real_address: str, name: str, value: str) -> None:
    assert "On this page only the operator can" in Visitor(real_address).models(name, value)


def test_rule_sandbox(address: str) -> None:
    shown = Visitor(address).call("mc-tab-agent", "select")
    assert text("en", "agent.tier.jail") not in shown
    assert "10 s per run" in shown or "wasm: " in shown     # the reason why it is off, where its files were not fetched


def test_rule_replies(engine: ScriptedEngine, address: str) -> None:
    running = threading.Event()
    engine.script = [running, *answer("done")]
    visitor = Visitor(address)
    refused = []
    for _ in range(OF_PUBLIC.replies_at_once + 1):
        refused.append("replies in progress" in visitor.call("mc-send", "click", first="hello"))
        visitor.call("mc-new", "click")
    assert refused == [False] * OF_PUBLIC.replies_at_once + [True]
    assert "replies in progress" not in Visitor(address).call("mc-send", "click", first="hello")
    running.set()


def test_rule_use(engine: ScriptedEngine, address: str) -> None:
    engine.script = list(answer("done"))
    visitor = Visitor(address)
    assert "characters long" in visitor.call("mc-send", "click", first="x" * (OF_PUBLIC.message_chars + 1))
    engine.visitors.set_limits(replace(OF_PUBLIC, messages_per_minute=2))
    try:
        refused = []
        for _ in range(3):
            refused.append("messages a minute" in visitor.call("mc-send", "click", first="hello"))
            visitor.call("mc-new", "click")
        assert refused == [False, False, True]
        assert "messages a minute" not in Visitor(address).call("mc-send", "click", first="hello")
    finally:
        engine.visitors.set_limits(OF_PUBLIC)


@pytest.mark.parametrize(("headers", "body", "status"), [
    ({"Content-Length": str(MAX_REQUEST_BYTES + 1)}, b"", 413), ({"Content-Length": "many"}, b"", 400),
    ({}, b"x" * (MAX_FILE_BYTES + 1), 413), ({}, b"x" * 1000, 200)], ids=["request", "no length", "file", "small file"])
def test_rule_uploads(address: str, headers: dict[str, str], body: bytes, status: int) -> None:
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=20)
    form = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n' + body + b"\r\n--b--\r\n"
    connection.putrequest("POST", "/gradio_api/upload")
    for name, value in {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(len(form)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body if headers else form)
    assert connection.getresponse().status == status
    connection.close()


def test_a_request_that_hides_its_length_is_read_no_further_than_the_limit() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * (MAX_REQUEST_BYTES // 2), "more_body": True}

    async def kinds() -> list[str]:
        counted = limited(receive)      # type: ignore[arg-type]
        return [(await counted())["type"] for _ in range(4)]

    assert own_thread.run(kinds()) == ["http.request", "http.request", "http.disconnect", "http.disconnect"]


def uploaded(address: str, name: str, content: bytes) -> list[dict[str, object]]:
    """Upload a file, and return it as the value of a component."""
    form = b'--b\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n--b--\r\n' % (name.encode(), content)
    request = urllib.request.Request(f"{address}gradio_api/upload", form, {"Content-Type": "multipart/form-data; boundary=b"})
    with urllib.request.urlopen(request, timeout=20) as answered:
        return [{"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}} for path in json.load(answered)]


def test_rule_knowledge(engine: ScriptedEngine, address: str, tmp_path: Path) -> None:
    visitor, other = Visitor(address), Visitor(address)
    (tmp_path / "secret.txt").write_text("the secret of the server")
    created = visitor.call("mc-know-create", "click", first="Own notes")
    assert "Own notes" in created
    refused = visitor.call("mc-know-read", "click", first=str(tmp_path))
    assert "cannot be read on a public page" in refused
    engine.visitors.set_limits(replace(OF_PUBLIC, knowledge_documents=1))
    try:
        visitor.call("mc-know-upload", "upload", first=uploaded(address, "first.txt", b"a quokka smiles"))
        assert "at most 1 documents" in visitor.call("mc-know-upload", "upload", first=uploaded(address, "second.txt", b"x"))
    finally:
        engine.visitors.set_limits(OF_PUBLIC)
    chosen = created.partition('data-value=\\"')[2].partition('\\"')[0]
    assert chosen
    assert "Own notes" not in other.call("mc-know-collections", "act", {"do": "choose", "value": chosen})


def test_uploads_are_deleted_after_a_day(address: str, launched: gr.Blocks) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'
    request = urllib.request.Request(f"{address}gradio_api/upload", form, {"Content-Type": "multipart/form-data; boundary=b"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        kept = Path(json.load(reply)[0])
    assert kept.read_text() == "hello"
    assert launched.delete_cache == (3600, 24 * 3600)
    delete_files_created_by_app(launched, 0)        # what Gradio calls every hour, with the age of a day
    assert not kept.exists()


@pytest.mark.parametrize(("given", "effort", "budget"), [([], None, None), (["low"], "low", None), ([None, 20], None, 20)], ids=repr)
def test_the_chat_endpoint_asks_for_an_effort_and_a_budget_of_thought(
        engine: ScriptedEngine, address: str, given: list[object], effort: str | None, budget: int | None) -> None:
    """Both can be left out, as by programs that were written before the endpoint had them."""
    _, _, text = sent(address, "POST", "/gradio_api/call/chat", {"data": ["hi", "", 0.5, 9, *given]})
    _, _, text = sent(address, "GET", f"/gradio_api/call/chat/{json.loads(text)['event_id']}")
    assert "event: complete" in text
    _, options = engine.asked[-1]
    assert (options.reasoning_effort, options.reasoning_budget) == (effort, budget)


def test_rule_training(real_address: str) -> None:
    visitor = Visitor(real_address)
    assert "only visitors who are signed in can train" in visitor.call("mc-tune-example", "click")
    started = visitor.call("mc-tune-start", "click")        # the script instead
    assert "Tallmere.py" in started


def test_rule_errors(engine: ScriptedEngine, address: str) -> None:
    engine.script = [RuntimeError("secret /srv/path")]
    _, _, text = sent(address, "POST", "/gradio_api/call/chat", {"data": ["hi", "", 0.5, 9]})
    _, _, text = sent(address, "GET", f"/gradio_api/call/chat/{json.loads(text)['event_id']}")
    assert "event: error" in text
    assert "secret" not in text
    status, _, text = sent(address, "POST", "/gradio_api/run/predict", {"fn_index": 10**6, "data": []})
    assert status >= 400
    assert "Traceback" not in text
    assert str(ROOT) not in text


def test_rule_endpoints(address: str, launched: gr.Blocks) -> None:
    _, _, text = sent(address, "GET", "/gradio_api/info")
    operations = [f"{name}({', '.join(each['parameter_name'] for each in operation['parameters'])})"
                  for name, operation in json.loads(text)["named_endpoints"].items()]
    routes = {f"{method} {context.path}" for context in iter_route_contexts(launched.app.routes)
              for method in sorted(context.methods or {"any"}) if is_route(context.path)}
    approved = (ROOT / "tests" / "ui" / "approved_endpoints.txt").read_text("utf-8").splitlines()
    assert sorted(operations) + sorted(routes) == [line for line in approved if line and not line.startswith("#")]
    for path in ("/monitoring", "/gradio_api/deep_link", "/gradio_api/vibe-code/", "/openapi.json", "/gradio_api/runs"):
        assert sent(address, "GET", path)[0] == 404


@pytest.mark.parametrize("path", [
    "/etc/passwd", "{data}/mindcubes.db", "{data}/agent/../mindcubes.db", "{root}/app.py", "../../etc/passwd"])
@pytest.mark.parametrize("route", ["/gradio_api/file={}", "/gradio_api/file/{}", "/static/{}", "/assets/{}", "/svelte/{}"])
def test_rule_paths(engine: ScriptedEngine, address: str, route: str, path: str) -> None:
    wanted = path.format(data=engine.settings.data_dir, root=ROOT)
    for spelled in (wanted, quote(wanted, safe=""), wanted.replace("..", "%2e%2e")):
        status, _, text = sent(address, "GET", route.format(spelled))
        assert status in (400, 403, 404), text[:80]


def test_rule_addresses(address: str, real_address: str, outside: tuple[str, list[str]]) -> None:
    site, asked = outside
    for route in ("/gradio_api/file={}", "/gradio_api/file/{}", "/gradio_api/proxy={}", "/gradio_api/file={}%3Fa"):
        for spelled in (f"{site}/x", quote(f"{site}/x", safe="")):
            assert sent(address, "GET", route.format(spelled))[0] in (400, 403, 404)
    visitor = Visitor(address)
    for file in ({"path": f"{site}/x", "meta": {"_type": "gradio.FileData"}},
                 {"path": "x.txt", "url": f"{site}/x", "meta": {"_type": "gradio.FileData"}}):
        visitor.call("mc-attach", "upload", first=[file])
        visitor.call("mc-import", "upload", first=file)
    for part in ("mc-remote-ask", "mc-remote-connect"):
        assert "On this page only the operator can use models on other servers" in Visitor(real_address).call(
            part, "click", first=site)
    assert asked == []


def test_rule_scripts(engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("<script>alert(1)</script><img src=x onerror=alert(1)>")
    visitor = Visitor(address)
    visitor.call("mc-send", "click", first="<b onclick=alert(1)>title</b>")
    listed = visitor.open()
    assert "&lt;b onclick=alert(1)&gt;title" in listed
    chat = next(props for props in visitor.parts.values() if props.get("elem_id") == "mc-conversation")
    assert (chat["sanitize_html"], chat["allow_tags"]) == (True, False)     # the browser shows tags as text and drops what could run
    assert "Content-Security-Policy" in sent(address, "GET", "/")[2]
    path = engine.settings.data_dir / "agent" / "run" / "page.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<script>alert(1)</script>")
    assert sent(address, "GET", f"/gradio_api/file={path}")[1]["content-security-policy"].startswith("sandbox;")


def test_rule_tools(engine: ScriptedEngine, address: str) -> None:
    call = [ToolCallDelta(0, "a", "run_python", '{"code": "print(1)"}'), Finished("tool_calls", USAGE)]
    engine.script, engine.later = call, [call, answer("done")]
    owner, other = Visitor(address), Visitor(address)
    owner.parts[next(part for part, props in owner.parts.items() if props.get("elem_id") == "mc-tools")]["value"] = ["python"]
    chat = owner.call("mc-send", "click", first="compute").partition('data-chat=\\"')[2].partition('\\"')[0]

    def question() -> tuple[str, str]:
        """The reply and the call that wait for approval."""
        shown = ""
        while not (found := re.search(r'data-act=\\+"approve-call\\+" data-id=\\+"(\d+)\\+" value=\\+"(\w+)\\+"', shown)):
            shown = owner.open(f"?chat={chat}")
        assert "trust-tool" not in shown
        return found[1], found[2]

    message, first = question()
    for act in ("approve-call", "trust-tool"):
        assert "no longer waits" in other.call("mc-bus", "act", {"act": act, "id": message, "value": first})
    assert question() == (message, first)
    owner.call("mc-bus", "act", {"act": "trust-tool", "id": message, "value": first})       # as a page of a private mode would send it
    while (second := question()[1]) == first:       # until the next call asks again
        pass
    owner.call("mc-bus", "act", {"act": "refuse-call", "id": message, "value": second})


def test_rule_visitors(engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("the secret answer")
    owner, other = Visitor(address), Visitor(address)
    shown = owner.call("mc-send", "click", first="my secret question")
    chat = shown.partition('data-chat=\\"')[2].partition('\\"')[0]
    assert chat
    assert "my secret question" in owner.open(f"?chat={chat}")
    stolen = other.open(f"?chat={chat}")
    assert "This chat no longer exists" in stolen
    assert "secret" not in stolen
    for act in ("open", "delete", "pin", "share", "export"):
        assert "secret" not in other.call("mc-bus", "act", {"act": act, "id": chat, "value": "x"})
    assert "my secret question" in owner.open(f"?chat={chat}")
