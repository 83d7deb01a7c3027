"""A conversation as templates take it: a system message, then turns of user and assistant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from ..errors import InvalidRequest
from ..messages import Message
from .control_tokens import DIGEST, unmarked


def as_parts(content: str) -> list[dict[str, str]]:
    """The content of a message as templates of models that see pictures read it: pictures first, then the text."""
    return [*({"type": "image"} for _ in DIGEST.findall(content)), {"type": "text", "text": content}]


def with_names(message: Message) -> Message:
    """The message with the names of its pictures in their place."""
    names = "".join(f"[picture: {picture.name}]\n" for picture in message.pictures)
    return replace(message, content=(names + message.content).strip(), pictures=())


def user_chat(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def is_rendered(content: str, text: str, words: Sequence[str]) -> bool:
    """Whether a message is in the rendered prompt; templates may trim it, write it as JSON, and remove `words`."""
    for word in words:
        content, text = content.replace(word, ""), text.replace(word, "")
    return content in text or content.strip() in text or unmarked(content).strip() in unmarked(text) or (
        json.dumps(content, ensure_ascii=False)[1:-1] in text)


def split_turns(messages: Sequence[Message]) -> tuple[Message | None, list[Message], Message | None]:
    """The system prompt, the turns after it, and the beginning of a reply to the last of them.

    Raises InvalidRequest if there is nothing to reply to.
    """
    system = messages[0] if messages and messages[0].role == "system" else None
    turns = _merged(messages[1 if system else 0:])
    if any(message.role == "system" for message in turns):
        raise InvalidRequest("messages", "a later system message", "at most one system message, the first")
    _require_results(turns)
    begun = turns.pop() if turns and turns[-1].role == "assistant" else None
    begun = begun if begun and (begun.content or begun.reasoning) else None
    while turns and turns[0].role != "user":
        turns = turns[1:]
    if not turns or turns[-1].role not in ("user", "tool"):
        raise InvalidRequest("messages", messages[-1].role if messages else "nothing",
                             "a conversation that ends with a user message or results of tools, or with the beginning of the reply to it")
    if turns[-1].role == "user" and not turns[-1].content.strip() and not turns[-1].pictures:
        raise InvalidRequest("message", "", "some text")
    return (system if system and system.content.strip() else None), turns, begun


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Merge consecutive messages of one role: many templates refuse two in a row, which imported and branched chats may have."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role and message.role != "tool" and not merged[-1].tool_calls:
            merged[-1] = Message(message.role, f"{merged[-1].content}\n\n{message.content}".strip(),
                                 f"{merged[-1].reasoning}\n\n{message.reasoning}".strip(), (*merged[-1].pictures, *message.pictures),
                                 message.tool_calls)
        else:
            merged.append(message)
    return merged


def _require_results(turns: Sequence[Message]) -> None:
    """Each call has one result, and each result a call, in the messages right after it. Raises InvalidRequest."""
    open_calls: list[str] = []
    for message in [*turns, None]:
        if message is not None and message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise InvalidRequest("tool_call_id", message.tool_call_id, "the id of a call in the message before, with one result each")
            open_calls.remove(message.tool_call_id)
            continue
        if open_calls:
            raise InvalidRequest("messages", f"a call without a result ({open_calls[0]})",
                                 "so that a message of the role tool follows for each call")
        open_calls = [call.id for call in message.tool_calls] if message is not None else []
