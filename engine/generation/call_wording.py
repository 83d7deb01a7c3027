"""How a model writes calls of tools: the texts around names and arguments, as its chat template writes them.

    lead  name  after_name  arguments  [join  name  after_name  arguments]...  end

Arguments are a JSON object, or, with `parameters`, one text for each, such as `<parameter=city>\\nParis\\n</parameter>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ID = "\ue0b3"                       # in a text: any id of a call; private use, as the marks of control_tokens.py
ID_PATTERN = "[A-Za-z0-9]{9}"
CHANNEL = "<|channel|>"
HEADER = "<|start|>assistant"       # of gpt-oss: of each channel of an answer
PLAIN_KEYWORDS = {"type", "description", "title", "default", "examples", "enum", "const"}
FINAL = "<|channel|>final<|message|>"


@dataclass(frozen=True, slots=True)
class ParameterWording:
    """How arguments are written one by one.

        first  key  after_key  value  [between  key  after_key  value]...  last        or `none` without any

    quote: around a text, which is written as it is; "" if nothing is; '"' if it is a JSON string. Other values are written as JSON,
    but true and false perhaps as in Python.
    The texts between are those that follow the longest common ones: `last` is followed by the end of the call, as `none` is.
    """

    first: str
    after_key: str
    between: str
    last: str
    none: str
    quote: str = ""
    is_python: bool = False

    @property
    def is_raw(self) -> bool:
        """Whether a text is written as it is."""
        return self.quote != '"'

    @property
    def stop(self) -> str:
        """What follows a value in any case, after white space."""
        return shared(self.between.lstrip(), self.last.lstrip())

    @property
    def blank(self) -> str:
        """The white space after a value."""
        return self.between[:len(self.between) - len(self.between.lstrip())]


@dataclass(frozen=True, slots=True)
class CallWording:
    """`join`: None if a reply has one call only. `before_text`: what an answer without calls begins with.

    `arguments_are_text`: whether the template takes the arguments of earlier calls as JSON text.
    """

    lead: str
    after_name: str
    join: str | None
    end: str
    parameters: ParameterWording | None = None
    before_text: str = ""
    arguments_are_text: bool = False

    @property
    def trigger(self) -> str:
        """What begins calls wherever it stands in an answer; "" if calls are only recognized at its beginning."""
        lead = self.lead.lstrip()
        if lead.startswith(CHANNEL):
            return CHANNEL      # that of the answer is known before
        found = re.match(r"<[^<>\s]*>|<[^<>\s]*=|\[[A-Z_]+\]|<[^<>\s]*", lead)
        return found[0] if found else ""

    @property
    def texts(self) -> tuple[str, ...]:
        each = self.parameters
        inner = (each.first, each.after_key, each.between, each.last, each.none, each.quote) if each else ()
        return (self.lead, self.after_name, self.join or "", self.end, self.before_text, *inner)


# For models whose template knows no tools: the form that most models were trained with.
PLAIN = CallWording('<tool_call>\n{"name": "', '", "arguments": ', '}\n</tool_call>\n<tool_call>\n{"name": "', "}\n</tool_call>")
# gpt-oss: its template writes earlier calls in a form that it reads, but not in that which it was trained to write.
HARMONY = CallWording(f"{CHANNEL}commentary to=functions.", " <|constrain|>json<|message|>", None, "", before_text=FINAL)


def shared(first: str, second: str) -> str:
    """The longest common beginning."""
    size = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))
    return first[:size]


def is_text(schema: object) -> bool:
    """Whether the values of a schema are any texts, or some; only these are written as they are, others as JSON."""
    if not isinstance(schema, Mapping) or schema.get("type") != "string" or not set(schema) <= PLAIN_KEYWORDS:
        return False
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return isinstance(choices, list) and all(isinstance(each, str) and each for each in choices)


def properties_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = schema.get("properties")
    return dict(found) if isinstance(found, Mapping) else {}
