"""Searches the visitor's own files: the collections that they chose for the reply, or all of them if a person approves that.

Without that question, a text in one file could make the model look for secrets in all others, and give them to a tool that is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..storage.knowledge_records import Collection, SearchResult
from ..tool_calls import Tool
from .base import BoundTool, CallContext, ToolOutcome

GROUP = "files"
MAX_QUERY_CHARS = 1_000
MAX_HITS = 6
MAX_COLLECTIONS = 50
DEFINITION = Tool.of_schema(
    "search_my_files", "Search the files of the person you talk to, and read the passages that fit a question best.",
    {"type": "object", "properties": {"query": {"type": "string", "description": "what to look for, in the words of the files"}},
     "required": ["query"], "additionalProperties": False})


class Collections(Protocol):
    """What the tool asks of the service for files (engine/knowledge)."""

    def list(self, owner: str) -> Sequence[Collection]: ...

    def search(self, owner: str, collection_ids: Sequence[str], query: str, limit: int = ...) -> SearchResult: ...


def files_tool(collections: Collections) -> BoundTool:
    def run(arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
        """Raises EngineError."""
        query = str(arguments.get("query", "")).strip()[:MAX_QUERY_CHARS]
        if not query:
            return ToolOutcome("The query is empty.", is_error=True)
        own = [each.id for each in collections.list(context.owner) if not context.collections or each.id in context.collections]
        if not own:
            return ToolOutcome("There are no files: the person has added none.")
        found = collections.search(context.owner, own[:MAX_COLLECTIONS], query, MAX_HITS).likely
        if not found:
            return ToolOutcome("Nothing was found in the files.")
        return ToolOutcome("\n\n".join(f"[{number}] {hit.document}\n{hit.piece.text.strip()}" for number, hit in enumerate(found, 1)))

    return BoundTool(DEFINITION, GROUP, run, timeout_s=30.0, is_limited_by_choice=True, can_be_trusted=False)
