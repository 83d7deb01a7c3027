"""Runs a Python program that a model wrote, in the sandbox. Every call has a session of its own, so visitors share nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from ..public_mode import PROGRAM_S
from ..sandbox import RunResult, open_sandbox
from ..tool_calls import Tool
from .base import BoundTool, CallContext, ToolOutcome

GROUP = "python"
OPENING_S = 15.0            # probing and opening a sandbox on a busy machine
PUBLIC_AT_ONCE = 2          # programs of all visitors of a public page that run at once
QUEUE_S = 30.0              # for one of them to wait for the others
FULL = "Programs of other visitors are running, and none of them ended in time. Try again later."
DEFINITION = Tool.of_schema(
    "run_python",
    "Run a Python program and read what it prints. It has no network and no files, and variables are not kept for the next call.",
    {"type": "object", "properties": {"code": {"type": "string", "description": "the whole program; print what you need"}},
     "required": ["code"], "additionalProperties": False})


def python_tool() -> BoundTool:
    places = threading.Semaphore(PUBLIC_AT_ONCE)

    def run(arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
        """Raises SandboxUnavailable."""
        if not context.is_public:
            return _run(arguments, context)
        with _place(places, context) as has_place:
            return _run(arguments, context) if has_place else ToolOutcome(FULL, is_error=True)

    return BoundTool(DEFINITION, GROUP, run, timeout_s=PROGRAM_S + OPENING_S + QUEUE_S)


@contextmanager
def _place(places: threading.Semaphore, context: CallContext) -> Iterator[bool]:
    """Wait for a place, at most QUEUE_S, and not after a stop; whether there is one."""
    deadline = time.monotonic() + QUEUE_S
    while not (found := places.acquire(timeout=0.1)) and time.monotonic() < deadline and not context.stop.is_set():
        pass
    try:
        yield found
    finally:
        if found:
            places.release()


def _run(arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
    """Raises SandboxUnavailable."""
    code = str(arguments.get("code", ""))
    if not code.strip():
        return ToolOutcome("The program is empty.", is_error=True)
    with open_sandbox(is_public=context.is_public) as sandbox, closing(sandbox.stream(code, PROGRAM_S)) as events:
        is_interrupted = False
        for event in events:
            if isinstance(event, RunResult):
                return _outcome(event)
            if context.stop.is_set() and not is_interrupted:
                is_interrupted = True
                sandbox.interrupt()
    raise AssertionError("a run ends with its result")


def _outcome(result: RunResult) -> ToolOutcome:
    parts = [result.stdout.strip("\n"), result.error.strip("\n") if not result.ok else ""]
    if result.files:
        parts.append("Files written, which are not kept: " + ", ".join(file.name for file in result.files))
    return ToolOutcome("\n".join(filter(None, parts)) or "The program printed nothing.", is_error=not result.ok)
