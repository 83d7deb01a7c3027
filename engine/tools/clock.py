"""The current date and time, in the time zone of the visitor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..tool_calls import Tool
from .base import BoundTool, CallContext, ToolOutcome

GROUP = "clock"
DEFINITION = Tool.of_schema(
    "current_date", "Tell today's date, the day of the week and the time, in the time zone of the person you talk to.",
    {"type": "object", "properties": {}, "additionalProperties": False})


def clock_tool() -> BoundTool:
    return BoundTool(DEFINITION, GROUP, _run, must_ask=False, timeout_s=5.0)


def _run(arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
    return ToolOutcome(written(datetime.now(context.zone)))


def written(now: datetime) -> str:
    """Return a time as ISO 8601, with the day of the week in English: "Sunday, 2026-11-29 17:35:00+03:00"."""
    return f"{now:%A}, {now.isoformat(' ', 'seconds')}"
