"""Tools of a request, calls in its messages, and calls in an answer, between OpenAI's forms and the engine's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine import Tool, ToolCall, ToolCallDelta

from .errors import ApiError
from .requests import CallFields, ChatRequest, FunctionFields, ResponsesRequest


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call of an answer as far as it is written: the arguments of one that is cut are no JSON."""

    id: str
    name: str
    arguments: str

    @property
    def body(self) -> dict[str, Any]:
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


def tool_options(request: ChatRequest | ResponsesRequest) -> dict[str, Any]:
    """The options of a request that concern tools. Raises ApiError and InvalidRequest."""
    functions: list[FunctionFields] = []
    for number, each in enumerate(request.tools or ()):
        place = f"tools.{number}."
        if each.type != "function":
            raise ApiError(400, "unsupported_parameter", f"Tools of the type “{each.type[:100]}” are not supported: this server knows "
                           "functions, which the client calls.", f"{place}type")
        each.ignored(place)
        function = each if isinstance(request, ResponsesRequest) else each.function
        if not isinstance(function, FunctionFields) or function.name is None:
            raise ApiError(400, "missing_required_parameter", f"{place}function.name is missing.", f"{place}function.name")
        function.ignored(f"{place}function.")
        functions.append(function)
    tools = [Tool.of_schema(each.name or "", each.description or "", each.parameters or {}) for each in functions]
    choice = _choice(request.tool_choice)
    if not tools and choice == "auto":      # clients send it without tools too
        return {}
    return {"tools": tools, "tool_choice": choice, "parallel_tool_calls": request.parallel_tool_calls is not False}


def _choice(given: str | dict[str, Any] | None) -> str:
    """Raises ApiError."""
    if given is None:
        return "auto"
    if isinstance(given, str):
        if given in ("auto", "none", "required"):
            return given
        raise ApiError(400, "invalid_value", "tool_choice must be auto, none, required, or name a function.", "tool_choice")
    function = given.get("function")
    name = function.get("name") if isinstance(function, dict) else given.get("name")
    if given.get("type") != "function" or not isinstance(name, str):
        raise ApiError(400, "unsupported_parameter", "As an object, tool_choice must have the type function, and its name.", "tool_choice")
    return name


def calls_of(given: Sequence[CallFields] | None, place: str) -> list[ToolCall]:
    """The calls in a message of the assistant. Raises ApiError and InvalidRequest."""
    calls = []
    for number, each in enumerate(given or ()):
        if each.type not in (None, "function") or each.function is None:
            raise ApiError(400, "unsupported_parameter", "This server reads calls of functions only.", f"{place}tool_calls.{number}.type")
        each.ignored(f"{place}tool_calls.{number}.", frozenset(("index",)))
        calls.append(written_call(each.id, each.function.name, each.function.arguments))
    return calls


def written_call(id: str, name: str, arguments: str | None) -> ToolCall:
    """A call that an answer had. One that was cut has the beginning of its arguments as a text. Raises InvalidRequest."""
    given = arguments or "{}"
    try:
        is_whole = isinstance(json.loads(given), dict)
    except (ValueError, RecursionError):
        is_whole = False
    return ToolCall(id, name, given if is_whole else json.dumps({"incomplete": given}, ensure_ascii=False))


def written_calls(pieces: Sequence[ToolCallDelta]) -> list[WrittenCall]:
    calls: dict[int, WrittenCall] = {}
    for piece in pieces:
        before = calls.get(piece.index, WrittenCall("", "", ""))
        calls[piece.index] = WrittenCall(before.id or piece.id, before.name or piece.name, before.arguments + piece.arguments)
    return list(calls.values())


def delta_of(piece: ToolCallDelta) -> dict[str, Any]:
    """A piece of a call in a stream of chat completions."""
    if not piece.name:
        return {"index": piece.index, "function": {"arguments": piece.arguments}}
    return {"index": piece.index, "id": piece.id, "type": "function", "function": {"name": piece.name, "arguments": piece.arguments}}


def described(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """As responses list them."""
    return [{"type": "function", "name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters),
             "strict": True} for tool in tools]


def chosen(choice: str) -> str | dict[str, Any]:
    return choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}
