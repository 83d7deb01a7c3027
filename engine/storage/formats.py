"""One chat from JSON, as MindCubes or another program writes it. Nothing in it is trusted: invalid values are refused.

    messages         {"messages": [{"role", "content"}]}; content is text, or OpenAI's list of parts: text, and pictures in data URLs
    ShareGPT         {"conversations": [{"from", "value"}]}
    Open WebUI       {"title", "chat": {"history": {"currentId", "messages": {id: {"parentId", "role", "content"}}}}}
    ChatGPT          {"title", "current_node", "mapping": {id: {"parent", "message": {"author", "content": {"parts"}}}}}
    LibreChat        {"title", "messages": [{"messageId", "parentMessageId", "isCreatedByUser", "text", "content": [parts]}]}

Of the last three, only the chosen branch is read: tool calls, hidden and empty messages are left out, and pictures that are not in the
file itself, because nobody can repair such a file by hand; spoken messages are read from their transcript. In the other formats they
are refused.
Thoughts are recognized in every form that these programs write.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import InvalidRequest
from ..messages import MAX_MESSAGE_CHARS, GenerationOptions, Role
from ..plain_text import valid_text
from . import strict
from .imported_pictures import checked, is_picture_part, pictures_in
from .records import ChatMessage

MAX_MESSAGES = 2_000
LAST_TIME = 4_102_444_800       # the year 2100: later ones are not seconds
ROLES: dict[str, Role] = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant",
                          "model": "assistant", "system": "system", "developer": "system"}
DETAILS = re.compile(r'<details type="reasoning"[^>]*>\s*(?:<summary>.*?</summary>)?(?P<thoughts>.*?)</details>', re.DOTALL)
THOUGHTS = re.compile(r"\s*(?:<think>|<thinking>|\[THINK\])(?P<thoughts>.*?)(?:</think>|</thinking>|\[/THINK\])", re.DOTALL)
# Members of our own exports. The others have no meaning in another database, or are read separately.
OWN_MEMBERS = tuple(field.name for field in fields(ChatMessage) if field.name not in ("id", "parent", "versions", "created", "options"))


@dataclass(frozen=True, slots=True)
class Value:
    """A value from JSON and its name in error messages. Every method raises InvalidRequest if the type is another one."""

    value: Any
    name: str

    def wrong(self, expected: str) -> InvalidRequest:
        return InvalidRequest(self.name, strict.show(self.value), expected)

    def get(self, key: str) -> Value:
        """Return the member `key` of an object; its value is None if it is missing."""
        return Value(self.members().get(key), f"{key} of {self.name}")

    def members(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return self.value

    def items(self, kind: str) -> list[Value]:
        """`kind` is the name of one item: "message 2 of chat 1", not "... of messages of chat 1"."""
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        owner = self.name.partition(" of ")[2] or self.name
        return [Value(each, f"{kind} {number} of {owner}") for number, each in enumerate(self.value, 1)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("text")
        if len(self.value) > MAX_MESSAGE_CHARS:
            raise InvalidRequest(self.name, f"{len(self.value):,} characters", f"at most {MAX_MESSAGE_CHARS:,} characters")
        return valid_text(self.value)

    def text_or_none(self) -> str:
        return "" if self.value is None else self.text()

    def number(self, *, whole: bool = False) -> Any:
        is_number = isinstance(self.value, int) or (isinstance(self.value, float) and not whole)
        if not is_number or isinstance(self.value, bool) or not -1e19 < self.value < 1e19:      # NaN is in no range
            raise self.wrong("a whole number" if whole else "a number")
        return self.value


def read_path(chat: Value, *, is_own: bool) -> tuple[ChatMessage, ...]:
    """Return the messages of a chat; a system message becomes the system prompt of the replies after it. Raises InvalidRequest."""
    line, prompt = [], ""
    for message in map(_own, chat.get("messages").items("message")) if is_own else _messages(chat):
        if message.role == "system":
            prompt = message.text
        elif message.role == "assistant" and not message.system_prompt:
            line.append(replace(message, system_prompt=prompt))
        else:
            line.append(message)
    if len(line) > MAX_MESSAGES:
        raise InvalidRequest(chat.name, f"{len(line):,} messages", f"at most {MAX_MESSAGES:,} messages")
    return tuple(line)


def read_title(chat: Value) -> str:
    """Return the title; empty if there is none. Raises InvalidRequest."""
    inner = chat.members().get("chat")
    given = chat.get("title").text_or_none() or (Value(inner, chat.name).get("title").text_or_none() if isinstance(inner, dict) else "")
    return " ".join(given.split())


def _messages(chat: Value) -> Iterator[ChatMessage]:
    members = chat.members()
    if "mapping" in members:
        return _chatgpt(chat)
    if "chat" in members:
        return _open_webui(chat)
    if "conversations" in members:
        return (_message(_role(turn.get("from")), turn.get("value").text()) for turn in chat.get("conversations").items("turn"))
    if "messages" in members:
        messages = chat.get("messages").items("message")
        if any(isinstance(each.value, dict) and "isCreatedByUser" in each.value for each in messages):
            return _librechat(messages, chat.name)
        return (_message(_role(message.get("role")), _content(message.get("content")),
                         attachments=pictures_in(message.get("content").value, message.name)) for message in messages)
    raise chat.wrong("an object with messages, conversations, chat or mapping")


def _role(value: Value) -> Role:
    role = ROLES.get(value.value.lower()) if isinstance(value.value, str) else None
    if role is None:
        raise value.wrong("user, assistant or system")
    return role


def _message(role: Role, text: str, thoughts: str = "", **more: Any) -> ChatMessage:
    """Create a message; its text may contain thoughts between marks, as other programs write them into an answer."""
    if role != "assistant":
        return ChatMessage(role, text, **more)
    found = DETAILS.search(text) or THOUGHTS.match(text)
    if found is None:
        return ChatMessage(role, text, thoughts=thoughts, **more)
    inside = re.sub(r"(?m)^> ?", "", html.unescape(found["thoughts"])) if found.re is DETAILS else found["thoughts"]
    answer = f"{text[:found.start()]}{text[found.end():]}".strip()
    return ChatMessage(role, answer, thoughts="\n\n".join(filter(None, (thoughts, inside.strip()))), **more)


def _content(value: Value, *, is_strict: bool = True) -> str:
    """Return the text, or the text of OpenAI's parts. Parts that are neither text nor a picture are refused if `is_strict`.

    Raises InvalidRequest.
    """
    if not isinstance(value.value, list):
        return value.text()
    parts = value.items("part")
    if is_strict:
        for part in parts:
            if part.get("type").value != "text" and not is_picture_part(part.value):
                raise part.get("type").wrong("text: other content cannot be read")
    texts = [part.get("text").text() for part in parts if isinstance(part.value, dict) and part.value.get("type") == "text"]
    return Value("\n".join(texts), value.name).text()


def _line(nodes: Value, current: object, parent: str) -> list[Value]:
    """Return the nodes from the root to `current`, or to the last node of the file if `current` is not in the tree."""
    tree = nodes.members()
    at = current if isinstance(current, str) and current in tree else next(reversed(tree), None)
    line: dict[str, Value] = {}
    while isinstance(at, str) and at in tree:
        if at in line:
            raise InvalidRequest(nodes.name, f"a circle through {at[:60]!r}", "a tree")
        line[at] = Value(tree[at], f"message {at[:60]!r} of {nodes.name}")
        at = line[at].get(parent).value
    return [*reversed(line.values())]


def _chatgpt(chat: Value) -> Iterator[ChatMessage]:
    thoughts = ""           # these come before their answer, as a separate message
    for node in _line(chat.get("mapping"), chat.get("current_node").value, "parent"):
        message = node.get("message")
        if message.value is None or message.get("content").value is None or _is_hidden(message):       # such as the root
            continue
        role, content = message.get("author").get("role"), message.get("content")
        if content.get("content_type").value == "thoughts":
            thoughts = "\n\n".join(_texts(content.get("thoughts").value, "content"))
            continue
        texts = _texts(content.get("parts").value, "text")
        is_for_tool = message.get("recipient").value not in (None, "all")
        if role.value in ("user", "assistant", "system") and any(map(str.strip, texts)) and not is_for_tool:
            text, created = Value("\n".join(texts), f"text of {message.name}").text(), _created(message.get("create_time"))
            yield _message(_role(role), text, thoughts if role.value == "assistant" else "", created=created)
            thoughts = ""


def _texts(parts: object, key: str) -> list[str]:
    """Return the parts that are text or objects with a text (the transcript of speech). Pictures and sounds have none."""
    found = [part.get(key) if isinstance(part, dict) else part for part in parts] if isinstance(parts, list) else []
    return [part for part in found if isinstance(part, str)]


def _is_hidden(message: Value) -> bool:
    """Whether ChatGPT never showed it: the user's profile, or an answer that another one replaced."""
    metadata = message.get("metadata").value
    return message.get("weight").value == 0 or (isinstance(metadata, dict)
                                                and metadata.get("is_visually_hidden_from_conversation") is True)


def _open_webui(chat: Value) -> Iterator[ChatMessage]:
    history = chat.get("chat").get("history")
    for message in _line(history.get("messages"), history.get("currentId").value, "parentId"):
        content, model = message.get("content"), message.get("model").value
        text = "" if content.value is None else _content(content, is_strict=False)
        pictures = pictures_in([*_list(content.value), *_list(message.get("files").value)], message.name, is_strict=False)
        if (text.strip() or pictures) and message.get("role").value != "tool":
            yield _message(_role(message.get("role")), text, created=_created(message.get("timestamp")), attachments=pictures,
                           model=valid_text(model) if isinstance(model, str) else "")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _librechat(messages: Sequence[Value], name: str) -> Iterator[ChatMessage]:
    tree = Value({str(each.get("messageId").value): each.value for each in messages}, name)
    for message in _line(tree, None, "parentMessageId"):
        parts = message.get("content").value
        texts, thoughts = (_texts(parts, "text"), _texts(parts, "think")) if isinstance(parts, list) else ([], [])
        text = "\n".join(texts) or message.get("text").text_or_none()
        if text.strip():
            yield _message("user" if message.get("isCreatedByUser").value is True else "assistant", text, "\n\n".join(thoughts))


def _created(value: Value) -> float:
    """Return the time, or 0 if the value is not a time; the database replaces 0 with the current time."""
    is_time = isinstance(value.value, (int, float)) and not isinstance(value.value, bool) and 0 < value.value < LAST_TIME
    return float(value.value) if is_time else 0.0


def _own(message: Value) -> ChatMessage:
    """Return a message that `message_dict` wrote, without its position in the tree."""
    members = message.members()
    values = {name: members[name] for name in OWN_MEMBERS if name in members}
    read = strict.read(ChatMessage, {**values, "role": _role(message.get("role"))}, message.name)
    return replace(read, created=_created(message.get("created")), options=_options(message.get("options")),
                   attachments=checked(read.attachments, message.name))


def _options(value: Value) -> GenerationOptions | None:
    if value.value is None:
        return None
    values = {name: member for name, member in value.members().items() if name != "ignores_end"}     # used by measurements only
    for name, member in values.items():
        if member is None and name not in ("seed", "stop", "adapter", "top_logprobs", "reasoning_effort", "reasoning_budget", "shape"):
            raise value.get(name).wrong("a number")
    return strict.read(GenerationOptions, values, value.name)
