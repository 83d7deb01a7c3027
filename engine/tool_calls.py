"""The values of tool calling: tools that a model may call, its calls, and the pieces in which a call arrives. Pure data with checks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from .errors import EngineError, InvalidRequest
from .plain_text import valid_text

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
CHOICES = ("auto", "none", "required")      # of tool_choice, beside the name of a tool
ANY_ARGUMENTS = '{"type": "object", "properties": {}}'
MAX_TOOLS = 128
MAX_CALLS = 64                              # of one message
MAX_DESCRIPTION_CHARS = 20_000
MAX_PARAMETERS_CHARS = 100_000              # of one tool
MAX_TOOLS_CHARS = 400_000                   # of all tools of one request
MAX_ARGUMENTS_CHARS = 500_000               # of one call
MAX_ID_CHARS = 100


class InvalidTools(InvalidRequest):
    """`why`: a clause that names what is wrong, such as a keyword of a schema."""

    def __init__(self, why: str) -> None:
        EngineError.__init__(self, f"These tools cannot be used: {why}. Change them, or leave them out.")
        self.name, self.why = "tools", why


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask to be called. `parameters`: a JSON schema of an object, as JSON text."""

    name: str
    description: str = ""
    parameters: str = ANY_ARGUMENTS

    def __post_init__(self) -> None:
        _require_name(self.name)
        if self.name in CHOICES:
            raise InvalidRequest("the name of a tool", self.name, f"none of {', '.join(CHOICES)}, which are values of tool_choice")
        if not isinstance(self.description, str) or len(self.description) > MAX_DESCRIPTION_CHARS:
            raise InvalidRequest(f"the description of the tool {self.name}", str(self.description)[:80],
                                 f"a text of at most {MAX_DESCRIPTION_CHARS:,} characters")
        object.__setattr__(self, "description", valid_text(self.description))
        if not isinstance(self.parameters, str) or len(self.parameters) > MAX_PARAMETERS_CHARS:
            raise InvalidRequest(f"parameters of the tool {self.name}", type(self.parameters).__name__,
                                 f"a JSON text of at most {MAX_PARAMETERS_CHARS:,} characters")
        schema = _object(self.parameters)
        if schema is None or schema.get("type", "object") != "object":
            raise InvalidRequest(f"parameters of the tool {self.name}", self.parameters[:80], "a JSON schema of an object")
        object.__setattr__(self, "parameters", valid_text(self.parameters))

    @classmethod
    def of_schema(cls, name: str, description: str, schema: Mapping[str, Any]) -> Tool:
        """Raises InvalidRequest."""
        try:
            return cls(name, description, json.dumps(schema, ensure_ascii=False, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"parameters of the tool {name}", str(error)[:80], "JSON") from error

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "object", **json.loads(self.parameters)}

    @property
    def described(self) -> dict[str, Any]:
        """As OpenAI's API and the chat templates take it."""
        return {"type": "function", "function": {"name": self.name, "description": self.description, "parameters": self.schema}}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model asks for a tool. `arguments`: a JSON object as text. `id`: what the message with the result names."""

    id: str
    name: str
    arguments: str = "{}"

    def __post_init__(self) -> None:
        _require_name(self.name)
        require_id(self.id)
        if not isinstance(self.arguments, str) or len(self.arguments) > MAX_ARGUMENTS_CHARS or _object(self.arguments) is None:
            raise InvalidRequest(f"the arguments of {self.name}", str(self.arguments)[:80],
                                 f"a JSON object as text, of at most {MAX_ARGUMENTS_CHARS:,} characters")
        object.__setattr__(self, "arguments", valid_text(self.arguments))

    @property
    def values(self) -> dict[str, Any]:
        """The arguments by name. Their texts are valid: JSON can name half of a character (\\ud800), which no server reads."""
        return dict(_valid(json.loads(self.arguments)))


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the call with this number in the reply. Its first piece has `id` and `name`, later ones only more of the arguments.

    Only the calls of a reply that finishes with "tool_calls" are whole.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


def new_call_id() -> str:
    """Nine letters and digits, because some chat templates (Mistral's) refuse other ids."""
    return uuid4().hex[:9]


def calls_of(pieces: Sequence[ToolCallDelta]) -> tuple[ToolCall, ...]:
    """The calls that these pieces of a reply make. Raises InvalidRequest if one is cut."""
    calls: dict[int, tuple[str, str, str]] = {}
    for piece in pieces:
        id, name, arguments = calls.get(piece.index, ("", "", ""))
        calls[piece.index] = id or piece.id, name or piece.name, arguments + piece.arguments
    return tuple(ToolCall(id, name, arguments or "{}") for _, (id, name, arguments) in sorted(calls.items()))


def tools_of(given: object) -> tuple[Tool, ...]:
    """Tools as options hold them: also from what `dataclasses.asdict` made of them. Raises InvalidRequest."""
    if not isinstance(given, (list, tuple)) or len(given) > MAX_TOOLS:
        raise InvalidRequest("tools", type(given).__name__, f"a list of at most {MAX_TOOLS} tools")
    tools = tuple(_value(Tool, "tools", each) for each in given)
    names = [tool.name for tool in tools]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidRequest("tools", twice, "tools with different names")
    if sum(len(tool.description) + len(tool.parameters) for tool in tools) > MAX_TOOLS_CHARS:
        raise InvalidRequest("tools", f"{len(tools)} long descriptions", f"at most {MAX_TOOLS_CHARS:,} characters together")
    return tools


def tool_calls_of(given: object) -> tuple[ToolCall, ...]:
    """As `tools_of`, for the calls of a message."""
    if not isinstance(given, (list, tuple)) or len(given) > MAX_CALLS:
        raise InvalidRequest("tool_calls", type(given).__name__, f"a list of at most {MAX_CALLS} calls")
    return tuple(_value(ToolCall, "tool_calls", each) for each in given)


def require_choice(choice: object, tools: Sequence[Tool]) -> None:
    """Raises InvalidRequest."""
    names = [tool.name for tool in tools]
    if choice not in (*CHOICES, *names):
        raise InvalidRequest("tool_choice", choice, f"auto, none, required, or the name of a tool (of {', '.join(names[:20]) or 'none'})")
    if choice == "required" and not tools:
        raise InvalidRequest("tool_choice", choice, "left out: there are no tools")


def require_id(given: object) -> None:
    """Raises InvalidRequest."""
    if not isinstance(given, str) or not 0 < len(given) <= MAX_ID_CHARS or not given.isprintable():
        raise InvalidRequest("the id of a tool call", str(given)[:80], f"1 to {MAX_ID_CHARS} printable characters")


def _require_name(name: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidRequest("the name of a tool", str(name)[:80], "1 to 64 letters, digits, and the signs _ . -")


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _valid(value: Any) -> Any:
    match value:
        case str():
            return valid_text(value)
        case dict():
            return {valid_text(name): _valid(each) for name, each in value.items()}
        case list():
            return [_valid(each) for each in value]
    return value


def _value(kind: type[Any], name: str, given: object) -> Any:
    if isinstance(given, kind):
        return given
    if isinstance(given, Mapping) and set(given) <= set(kind.__dataclass_fields__) and "name" in given:
        try:
            return kind(**given)
        except TypeError as error:
            raise InvalidRequest(name, str(error)[:80], f"a list of {kind.__name__}") from error
    raise InvalidRequest(name, str(given)[:80], f"a list of {kind.__name__}")
