"""Whether the app's memory grows with its visitors: new pages all the time, each with a few messages, some of them stopped or left.

    python -m benchmarks.memory                 ten minutes, the built-in model
    python -m benchmarks.memory --minutes 3 --model bench-models/110m

A visitor sends what a browser sends: the page, its connection, the events of loading and of its clock, messages, a new chat; then the
page is closed. Reads the process's memory from /proc, so Linux only. Settings in the environment apply (MINDCUBES_PUBLIC=1).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from .page import App

LINE_S = 30.0
WARM_S = 120.0              # growth is counted from here: before, every part of the app is used for the first time
READ_S = 60.0
QUESTIONS = ("What can you do?", "How do I load a gated model?", "Tell me about memory.", "Write a poem about the sea.")


@dataclass
class Counts:
    """What all visitors did."""

    pages: int = 0
    messages: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Memory:
    """Of one process, in MiB. `own`: what it does not share with a file or another process."""

    rss: float
    pss: float
    own: float

    @classmethod
    def of(cls, pid: int) -> Memory:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]
        kib = {name.rstrip(":"): int(value) for name, value, *_ in map(str.split, lines)}
        return cls(*(kib[name] / 1024 for name in ("Rss", "Pss", "Pss_Anon")))


class Page:
    """One open page, by its requests."""

    def __init__(self, client: httpx.AsyncClient, config: dict[str, Any], counts: Counts) -> None:
        self._client, self._counts = client, counts
        self._session = secrets.token_hex(6)
        self._events = {event["id"]: event for event in config["dependencies"] if event["backend_fn"]}
        self._parts = {part["id"]: part for part in config["components"]}
        self._headers = {"Cookie": f"mindcubes_key={secrets.token_hex(16)}"}

    async def visit(self, number: int) -> None:
        """Load the page, use it, and close it."""
        self._counts.pages += 1
        (await self._client.get("/", headers=self._headers)).raise_for_status()
        connection = asyncio.create_task(self._stay_connected())
        try:
            await self._all("load")
            await self._send(QUESTIONS[number % len(QUESTIONS)])
            await self._all("tick")
            await self._click("mc-new")
            await self._send("Tell me everything that you know about models and memory.", stop_after_s=0.3)
            await self._send(QUESTIONS[(number + 1) % len(QUESTIONS)], leave_after_s=0.2 if number % 3 == 0 else None)
        finally:
            connection.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await connection

    async def _stay_connected(self) -> None:
        """The connection by whose end the app sees that a page was closed."""
        async with self._client.stream("GET", f"/gradio_api/heartbeat/{self._session}", timeout=None) as response:
            async for _ in response.aiter_bytes():
                pass

    async def _send(self, text: str, stop_after_s: float | None = None, leave_after_s: float | None = None) -> None:
        self._counts.messages += 1
        sending = asyncio.create_task(self._trigger(self._find("mc-message", "submit"), {"mc-message": text}))
        if stop_after_s is not None:
            await asyncio.sleep(stop_after_s)
            await self._click("mc-stop")
        if leave_after_s is not None:
            await asyncio.sleep(leave_after_s)
            sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending

    async def _click(self, elem_id: str) -> None:
        await self._trigger(self._find(elem_id, "click"))

    def _find(self, elem_id: str, name: str) -> Iterable[int]:
        part = next(part["id"] for part in self._parts.values() if part["props"].get("elem_id") == elem_id)
        return self._of(part, name)

    def _of(self, part: int, name: str) -> list[int]:
        return [number for number, event in self._events.items() if [part, name] in event["targets"]]

    async def _all(self, name: str) -> None:
        """Every event of this name, one after the other."""
        await self._trigger([number for number, event in self._events.items() if any(target[1] == name for target in event["targets"])])

    async def _trigger(self, events: Iterable[int], values: dict[str, Any] | None = None) -> None:
        """Run events, and those that follow from a change of the page's state."""
        for number in events:
            for part in await self._run(self._events[number], values or {}):
                await self._trigger(self._of(part, "change"))

    async def _run(self, event: dict[str, Any], values: dict[str, Any]) -> list[int]:
        """Returns the parts of the page's state that it changed."""
        props = [self._parts[part]["props"] for part in event["inputs"]]
        data = [values.get(each.get("elem_id") or "", each.get("value")) for each in props]
        body = {"data": data, "fn_index": event["id"], "session_hash": self._session, "trigger_id": event["targets"][0][0]}
        if event["queue"] is False:
            response = await self._client.post("/gradio_api/run/predict", json=body, headers=self._headers)
            self._check(event, response.status_code == 200, response.text)
            return response.json().get("changed_state_ids") or []
        response = await self._client.post("/gradio_api/queue/join", json=body, headers=self._headers)
        response.raise_for_status()
        name = response.json()["event_id"]
        async with self._client.stream("GET", f"/gradio_api/queue/data?session_hash={self._session}", headers=self._headers) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed" and message["event_id"] == name:
                    self._check(event, message["success"], line)
                    return message["output"].get("changed_state_ids") or []
        return []

    def _check(self, event: dict[str, Any], is_good: bool, answer: str) -> None:
        if not is_good:
            self._counts.failures.append(f"{event['api_name']}: {answer[:200]}")


async def come_and_go(url: str, counts: Counts, until: float) -> None:
    """One visitor after the other."""
    async with httpx.AsyncClient(base_url=url, timeout=READ_S) as client:
        config = (await client.get("/config")).json()
        while time.monotonic() < until:
            try:
                await Page(client, config, counts).visit(counts.pages)
            except httpx.HTTPError as error:
                counts.failures.append(repr(error))


async def watch(pid: int, counts: Counts, seconds: float) -> None:
    """Print a line every LINE_S, and at the end what was added after WARM_S."""
    started, first, before = time.monotonic(), Memory.of(pid), 0
    while (elapsed := time.monotonic() - started) < seconds:
        await asyncio.sleep(min(LINE_S, seconds - elapsed))
        elapsed, now = time.monotonic() - started, Memory.of(pid)
        print(f"{elapsed / 60:4.1f} min: RSS {now.rss:,.0f} MiB, PSS {now.pss:,.0f}, not shared {now.own:,.0f}; {counts.pages:,} pages, "
              f"{counts.messages:,} messages, {len(counts.failures)} failures", flush=True)
        if elapsed <= WARM_S + 1:
            first, before = now, counts.pages
    pages, own = counts.pages - before, now.own - first.own
    print(f"after the second minute: RSS {now.rss - first.rss:+,.0f} MiB, not shared {own:+,.0f} MiB with {pages:,} more pages "
          f"({1024 * own / max(1, pages):+.0f} KiB a page)")
    for failure in counts.failures[:5]:
        print(f"  failure: {failure}")


async def measure(app: App, seconds: float, visitors: int) -> None:
    counts, until = Counts(), time.monotonic() + seconds
    await asyncio.gather(watch(app.process.pid, counts, seconds), *(come_and_go(app.url, counts, until) for _ in range(visitors)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--visitors", type=int, default=4, help="at a time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        app = App(options.model, Path(folder))
        try:
            app.wait()
            asyncio.run(measure(app, 60 * options.minutes, options.visitors))
        finally:
            app.close()


if __name__ == "__main__":
    main()
