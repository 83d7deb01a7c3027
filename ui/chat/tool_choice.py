"""The list in the options panel from which a visitor chooses the tools that the model may call."""

from __future__ import annotations

from typing import Any

import gradio as gr

from engine.chat import Chat

from ..shared.context import Context, PageBuilder


def build_tool_choice(builder: PageBuilder) -> gr.CheckboxGroup:
    groups = builder.conversations.tools.toolbox.groups
    return builder.checkboxes("tools.title", {group.name: group.title or f"tools.{group.name}" for group in groups}, "tools.info",
                              value=[group.name for group in groups if group.is_default], elem_id="mc-tools")


def read_tools(value: Any) -> tuple[str, ...]:
    """Return the value of the list."""
    return tuple(map(str, value or ()))


def tools_of(context: Context, chat: Chat | None) -> list[str] | None:
    """The value of the list for a chat: what its last reply was asked with, as far as it can still be chosen; None for a new chat."""
    last = next((message for message in reversed(chat.path) if message.role == "assistant"), None) if chat else None
    if last is None:
        return None
    return [group.name for group in context.conversations.tools.toolbox.groups if group.name in last.tools]
