"""Runs a Python program that a model wrote, in the sandbox. Every call has a session of its own, so visitors share nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from ..public_mode import PROGRAM_S
from ..sandbox import RunResult, open_sandbox
from ..tool_calls import Tool
from .base import BoundTool, CallContext, ToolOutcome

GROUP = "python"
OPENING_S = 15.0            # probing and opening a sandbox on a busy machine
DEFINITION = Tool.of_schema(
    "run_python",
    "Run a Python program and read what it prints. It has no network and no files, and variables are not kept for the next call.",
    {"type": "object", "properties": {"code": {"type": "string", "description": "the whole program; print what you need"}},
     "required": ["code"], "additionalProperties": False})


def python_tool() -> BoundTool:
    return BoundTool(DEFINITION, GROUP, _run, timeout_s=PROGRAM_S + OPENING_S)


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
