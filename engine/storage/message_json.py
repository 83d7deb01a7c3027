"""Messages as JSON objects: in the database, in shared copies and in exports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..messages import GenerationOptions, Usage
from .records import Attachment, ChatMessage, MessageState, Source
from .tool_steps import ToolStep


def message_dict(message: ChatMessage) -> dict[str, Any]:
    """Return a message as a JSON object without its empty members."""
    values = {name: value for name, value in asdict(message).items() if name != "versions" and value not in ("", (), None, 0, 0.0)}
    return {"text": "", **values}


def message_of(values: dict[str, Any]) -> ChatMessage:
    """Inverse of `message_dict`, for JSON that this app wrote: only the dataclasses themselves check the values."""
    state: MessageState = values.get("state", "done")
    return ChatMessage(**{
        **values, "state": state, "notes": tuple(values.get("notes", ())), "tools": tuple(values.get("tools", ())),
        "steps": tuple(ToolStep(**each) for each in values.get("steps", ())),
        "usage": Usage(**values["usage"]) if values.get("usage") else None,
        "options": GenerationOptions(**values["options"]) if values.get("options") else None,
        "attachments": tuple(Attachment(**each) for each in values.get("attachments", ())),
        "collections": tuple(values.get("collections", ())), "sources": tuple(Source(**each) for each in values.get("sources", ()))})
