"""Searches the visitor's own files: the collections of documents that they added as knowledge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..tool_calls import Tool
from .base import BoundTool, CallContext, ToolOutcome

GROUP = "files"
MAX_QUERY_CHARS = 1_000
MAX_HITS = 6
DEFINITION = Tool.of_schema(
    "search_my_files", "Search the files of the person you talk to, and read the passages that fit a question best.",
    {"type": "object", "properties": {"query": {"type": "string", "description": "what to look for, in the words of the files"}},
     "required": ["query"], "additionalProperties": False})


class Found(Protocol):
    """A passage: its text, and the name of the file that it is from."""

    @property
    def text(self) -> str: ...

    @property
    def document(self) -> str: ...


class FileSearch(Protocol):
    """Looks through all files of an owner, best passages first. Raises EngineError."""

    def __call__(self, owner: str, query: str, limit: int) -> Sequence[Found]: ...


def files_tool(search: FileSearch) -> BoundTool:
    def run(arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
        query = str(arguments.get("query", "")).strip()[:MAX_QUERY_CHARS]
        if not query:
            return ToolOutcome("The query is empty.", is_error=True)
        found = search(context.owner, query, MAX_HITS)
        if not found:
            return ToolOutcome("Nothing was found in the files.")
        return ToolOutcome("\n\n".join(f"[{number}] {each.document}\n{each.text.strip()}" for number, each in enumerate(found, 1)))

    return BoundTool(DEFINITION, GROUP, run, must_ask=False, timeout_s=30.0)
