"""The grammar of an answer that may have calls of tools, in llguidance's form of Lark: names and arguments are always valid.

Outside calls any text is allowed, or the shape of the answer if the options have one. After the calls the reply ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..messages import GenerationOptions
from ..shapes import InvalidShape, Shape
from ..tool_calls import InvalidTools, Tool
from .call_wording import ID, ID_PATTERN, CallWording, ParameterWording, is_text, properties_of
from .shape_masks import ShapedAnswer, Shapes, json_terms, terms

Split = Callable[[str], list[tuple[str, int | None]]]       # a text in pieces that are not empty; control tokens with their ids
MOST_CALLS = 16         # of a reply: a small model that repeats itself would go on
OPEN = {"additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref"}
ANY = "ANY: /(.|\\n)*/"


def answer_with_calls(shapes: Shapes, wording: CallWording, options: GenerationOptions, begun: str) -> ShapedAnswer:
    """An answer that begins with `begun` and may have calls. Raises InvalidTools, and InvalidShape of an answer without calls."""
    wording = replace(wording, before_text="") if begun else wording        # the prompt has it
    try:
        grammar = CallGrammar(wording, options, shapes.split, terms(options.shape) if options.shape else "").text()
        answer = ShapedAnswer(grammar, begun)
        answer.compile(shapes)
    except InvalidShape as error:
        if options.shape is not None:
            shapes.begin(options.shape, begun)
        for tool in options.callable_tools:
            try:
                shapes.begin(Shape("json_schema", json.dumps(tool.schema)))
            except InvalidShape as found:
                raise InvalidTools(f"the parameters of {tool.name}: {found.why}") from error
        raise InvalidTools(error.why) from error
    return answer


class CallGrammar:
    """split: a text at control tokens. `shape`: the terms of an answer without calls; "" for any text."""

    def __init__(self, wording: CallWording, options: GenerationOptions, split: Split, shape: str = "") -> None:
        self._wording, self._options, self._split, self._shape = wording, options, split, shape
        self._tools = options.callable_tools
        self._rules: list[str] = []

    def text(self) -> str:
        """The grammar."""
        is_one = self._options.tool_choice in {tool.name for tool in self._tools} or not self._options.parallel_tool_calls
        wording, end = self._wording, self._literal(self._wording.end)
        join = None if is_one or wording.join is None else self._literal(wording.join)
        self._rules.append(f"calls: call {end}" if join is None else f"calls: call ({join} call){{0,{MOST_CALLS - 1}}} {end}")
        self._rules.append(f"call: {' | '.join(f'call_{at}' for at in range(len(self._tools)))}")
        for at, tool in enumerate(self._tools):
            self._rules.append(f"call_{at}: {_string(tool.name)} {self._arguments(at, tool)}")
        lead = self._literal(wording.lead.lstrip())
        start = f"start: {lead} calls" if self._options.tool_choice != "auto" else self._optional(lead)
        return "\n".join(["%llguidance {}", start, *self._rules, ANY]) + "\n"

    def _optional(self, lead: str) -> str:
        """The rule of an answer that is text, or calls, perhaps after some text."""
        wording, trigger = self._wording, self._wording.trigger
        if self._shape:
            return f"start: {self._literal(wording.before_text)} ({self._shape}) | {lead} calls"
        if wording.before_text:
            return f"start: {self._literal(wording.before_text)} ANY | {lead} calls"
        if not trigger:
            self._rules.append(f"OTHER: /(.|\\n)*/ & ~/{self._beginnings()}(.|\\n)*/")
            return f"start: OTHER | {lead} calls"
        rest = wording.lead.partition(trigger)[2]
        (piece, token), *_ = self._split(trigger)
        self._rules.append(f"head[lazy]: ANY {_string(trigger)}" if token is None else f"head: ANY? <[{token}]>")
        return f"start: ANY | head {self._literal(rest if token is None else trigger[len(piece):] + rest)} calls"

    def _beginnings(self) -> str:
        """A regular expression of how calls begin, white space aside: a text that begins so must be a call."""
        names = "|".join(re.escape(tool.name) for tool in self._tools)
        lead, after = self._wording.lead.lstrip(), self._wording.after_name[:1]
        if not any(map(str.isalpha, lead)):         # then only a name tells calls from text
            return rf"\s*{_escaped(lead)}({names}){_escaped(after)}"
        return r"\s*" + r"\s*".join(map(_escaped, "".join(lead.split())))

    def _literal(self, text: str) -> str:
        """Terms of a text: strings and control tokens."""
        return " ".join(f"<[{token}]>" if token is not None else self._with_ids(piece) for piece, token in self._split(text) if piece)

    @staticmethod
    def _with_ids(text: str) -> str:
        return f" /{ID_PATTERN}/ ".join(_string(each) for each in text.split(ID))

    def _arguments(self, at: int, tool: Tool) -> str:
        if self._wording.parameters is None:
            return f"{self._literal(self._wording.after_name)} {json_terms(_closed(tool.schema))}"
        return _Parameters(self._wording.parameters, tool.schema, f"p{at}", self._literal, self._split, self._rules).terms()


class _Parameters:
    """The rules of arguments that are written one by one, in the order of the schema. `name`: the beginning of the rules' names."""

    def __init__(self, wording: ParameterWording, schema: Mapping[str, Any], name: str, literal: Callable[[str], str], split: Split,
                 rules: list[str]) -> None:
        self._wording, self._name, self._literal, self._split, self._rules = wording, name, literal, split, rules
        self._properties = list(properties_of(schema).items())
        self._definitions = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
        required = schema.get("required")
        self._required = set(required) if isinstance(required, list) else set()

    def terms(self) -> str:
        """The terms of everything after the name of the tool."""
        wording, size = self._wording, len(self._wording.stop)
        odd = next((name for name, _ in self._properties if not name or wording.after_key[:1] in name), None)
        if odd is not None:
            raise InvalidShape(f"this model cannot write arguments with the name {odd[:80]!r}")
        for at in range(len(self._properties)):
            self._parameter(at)
        is_required = [name in self._required for name, _ in self._properties]
        first, last = self._literal(wording.first), self._literal(wording.last.lstrip()[size:])
        options = [f"{first} {self._from(at)} {last}" for at in range(len(is_required)) if not any(is_required[:at])]
        if not any(is_required):
            options.append(self._literal(wording.none) or '""')
        return f"({' | '.join(options)})"

    def _from(self, first: int) -> str:
        """Arguments that begin with the one of this number."""
        between = self._literal(self._wording.between.lstrip()[len(self._wording.stop):])
        more = [f"({between} {self._name}_{at})" + ("" if name in self._required else "?")
                for at, (name, _) in enumerate(self._properties) if at > first]
        return " ".join([f"{self._name}_{first}", *more])

    def _parameter(self, at: int) -> None:
        """The rule of one: its key, its value, and what stops it."""
        (key, schema), wording, rule = self._properties[at], self._wording, f"{self._name}_{at}"
        value = json_terms({**schema, **self._definitions} if isinstance(schema, dict) else {})
        if wording.is_python and isinstance(schema, dict) and schema.get("type") == "boolean" and not {"enum", "const"} & set(schema):
            value = '("True" | "False")'
        stop = self._literal(wording.blank + wording.stop)
        if is_text(schema) and wording.is_raw:
            value, stop = self._text(schema, rule)
        self._rules.append(f"{rule}: {self._literal(key + wording.after_key)} {value} {stop}")

    def _text(self, schema: Mapping[str, Any], rule: str) -> tuple[str, str]:
        """A text as it is, and the rest of what stops it."""
        wording, quote = self._wording, self._literal(self._wording.quote)
        choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
        if choices:
            return f"{quote} ({' | '.join(map(_string, choices))}) {quote}", self._literal(wording.blank + wording.stop)
        stop = wording.quote or wording.stop
        piece, token = self._split(stop)[0]
        self._rules.append(f"{rule}_raw[lazy]: ANY {_string(piece)}" if token is None else f"{rule}_raw: ANY? <[{token}]>")
        rest = self._literal(stop[len(piece):])
        return f"{quote} {rule}_raw", f"{rest} {self._literal(wording.stop)}" if wording.quote else rest


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Without arguments that a plain schema does not name, although it allows them: a small model makes some up."""
    return schema if set(schema) & OPEN else {**schema, "additionalProperties": False}


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _escaped(text: str) -> str:
    return re.escape(text).replace("/", r"\/").replace("\n", "n")     # a line break is escaped by a backslash before it
