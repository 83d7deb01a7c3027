"""A tool that a model can call: what the model reads of it, and the function that does the work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timezone
from typing import Any

from ..background import StopSignal
from ..tool_calls import Tool

MAX_RESULT_CHARS = 20_000       # of one result, for the model and in the database
CUT = "\n[The rest of the result is left out: it is too long.]"


@dataclass(frozen=True, slots=True)
class CallContext:
    """For whom a tool works. `zone`: of the visitor. `stop`: set when the person stops the reply, or when the time is over.

    `collections`: of files, which the person chose for this reply.
    """

    owner: str = ""
    zone: timezone = UTC
    stop: StopSignal = field(default_factory=StopSignal)
    is_public: bool = False
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What the model gets to read. `is_error`: the tool could not do what it was asked for, and the text says why."""

    text: str
    is_error: bool = False

    def limited(self) -> ToolOutcome:
        return self if len(self.text) <= MAX_RESULT_CHARS else ToolOutcome(self.text[:MAX_RESULT_CHARS] + CUT, self.is_error)


@dataclass(frozen=True, slots=True)
class BoundTool:
    """`run` may block until `timeout_s` is over or `CallContext.stop` is set; an EngineError that it raises becomes the result.

    `group`: the entry of the list of tools that it belongs to. `must_ask`: a person approves each call.
    `is_limited_by_choice`: not where the person chose collections of files, the only ones that it searches then. `can_be_trusted`: a person
    may approve all calls in a chat at once.
    """

    definition: Tool
    group: str
    run: Callable[[Mapping[str, Any], CallContext], ToolOutcome]
    must_ask: bool = True
    timeout_s: float = 60.0
    is_limited_by_choice: bool = False
    can_be_trusted: bool = True

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def key(self) -> str:
        """Names this tool as it is described now: a person who trusts it does not trust another one that takes its name later."""
        described = json.dumps([self.group, self.name, self.definition.description, self.definition.parameters])
        return f"{self.name} {hashlib.sha256(described.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class ToolGroup:
    """An entry of the list of tools. `title`: of a server, its name; of a built-in tool empty, since the page has a text for it.

    `is_default`: on until a person chooses. `problem`: why a server cannot be used now.
    """

    name: str
    title: str = ""
    is_default: bool = False
    problem: str = ""
