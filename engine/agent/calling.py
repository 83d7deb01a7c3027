"""Programs of models that can call tools: the model passes its program to a tool, and it continues here as the fenced block of others.

A call cannot be mistaken for prose, and its arguments are valid by a grammar; everything after it is the same for all models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..tool_calls import Tool, ToolCallDelta

TOOL = Tool.of_schema(
    "run_python", "Run a program, and show what it prints.",
    {"type": "object", "properties": {"code": {"type": "string", "description": "the whole program"}}, "required": ["code"],
     "additionalProperties": False})
TOOL_TOKENS = 150           # what its description adds to a prompt, counted generously
OPEN, CLOSE = "\n\n``````python\n", "\n``````\n"        # longer than any fence that a program has in its texts

# Characters, and escapes that are complete: of a character beyond the first 65,536 both halves.
_CODE = re.compile(r'"code"\s*:\s*"((?:[^"\\]|\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|'
                   r'\\u(?![dD][89abAB])[0-9a-fA-F]{4})*)', re.DOTALL)


@runtime_checkable
class ToolCaller(Protocol):
    """An optional member of a provider: whether its model was trained to call tools."""

    @property
    def calls_tools(self) -> bool: ...


class CallText:
    """Turns the pieces of a call into the text of a fenced block, as they arrive. Only the first call of a reply counts."""

    def __init__(self) -> None:
        self._arguments, self._shown = "", ""
        self.is_open = False

    def feed(self, piece: ToolCallDelta) -> str:
        """Return what the program has more now; "" while that is not known."""
        if piece.index:
            return ""
        self._arguments += piece.arguments
        code = code_so_far(self._arguments)
        if code is None or not code.startswith(self._shown):
            return ""
        new, self._shown = code[len(self._shown):], code
        if new and not self.is_open:
            self.is_open, new = True, OPEN + new
        return new


def code_so_far(arguments: str) -> str | None:
    """The program in the beginning of a call's arguments, as far as its escapes are complete; None before it begins."""
    found = _CODE.search(arguments)
    if found is None:
        return None
    try:
        return str(json.loads(f'"{found[1]}"', strict=False))
    except ValueError:
        return None


def offered(provider: object) -> Sequence[Tool]:
    """The tools for the model of this provider; none if it writes its programs as text."""
    return (TOOL,) if isinstance(provider, ToolCaller) and provider.calls_tools else ()
