"""Finds how a chat template writes calls of tools, by rendering small chats with calls. Nothing depends on the name of a model.

A wording counts only if the parser reads back the calls that the template wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import ChatTemplateFailed
from ..tool_calls import Tool, ToolCallDelta, calls_of
from .call_parsing import CallParser
from .call_wording import CHANNEL, HARMONY, ID, CallWording, ParameterWording, shared

QUESTION, ANSWER = "Which probe?", "Zero probes."
NAMES, IDS, RESULTS = ("find_alpha", "count_beta"), ("probeid01", "probeid02"), ("result-of-alpha", "result-of-beta")
ARGUMENTS: dict[str, Any] = {"first_key": "some value", "second_key": 73, "third_key": True}
SCHEMA = {"type": "object", "properties": {"first_key": {"type": "string"}, "second_key": {"type": "integer"},
                                           "third_key": {"type": "boolean"}}, "required": list(ARGUMENTS)}
TOOLS = tuple(Tool.of_schema(name, f"Describes {name}.", SCHEMA) for name in NAMES)
END_TOKENS = ("<|eom_id|>", "<|call|>", "<|eot_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "</s>", "<|tool_response>")


class Render(Protocol):
    """Renders a chat of role, content, tool_calls and results, with tools. Raises ChatTemplateFailed."""

    def __call__(self, chat: list[dict[str, Any]], variables: Mapping[str, Any], *, opens_reply: bool = True) -> str: ...


def read_wording(render: Render, end_token: str) -> CallWording | None:
    """None if the template knows no tools, or writes calls in a way that is not understood. end_token: of the tokenizer."""
    texts = _Chats(render, end_token)
    for as_text in (False, True):
        if not texts.shows_tools(as_text):
            continue
        if CHANNEL in texts.calls(NAMES[:1], as_text):
            return HARMONY
        for names in (NAMES, NAMES[:1]):
            wording = _wording(texts, names, as_text)
            if wording is not None and _reads_back(wording, texts.calls(names, as_text), names):
                return wording
    return None


class _Chats:
    """Small chats as the template renders them; "" where it raises an error."""

    def __init__(self, render: Render, end_token: str) -> None:
        self._render = render
        self._tools = {"tools": [tool.described for tool in TOOLS]}
        answered = self._text([*_question(), {"role": "assistant", "content": ANSWER}])
        self._head, _, tail = answered.rpartition(QUESTION)[2].partition(ANSWER)
        end = tail.strip()
        self._ends = tuple(filter(None, (end, end_token, *END_TOKENS)))

    def _text(self, chat: list[dict[str, Any]], *, opens_reply: bool = False) -> str:
        try:
            return self._render(chat, self._tools, opens_reply=opens_reply)
        except ChatTemplateFailed:
            return ""

    def shows_tools(self, as_text: bool) -> bool:
        """Whether the model sees the tools, a call with its arguments, and its result."""
        call = _message(NAMES[:1], as_text)
        text = self._text([*_question(), call, _result(0)], opens_reply=True)
        before, _, after = text.rpartition(QUESTION)
        wanted = (NAMES[0], "first_key", "some value", "73", RESULTS[0])
        return all(tool.description in text for tool in TOOLS) and all(each in after for each in wanted) and bool(before or after)

    def calls(self, names: Sequence[str], as_text: bool, arguments: Mapping[str, Any] = ARGUMENTS) -> str:
        """What the template writes for calls of these tools in the place of an answer, with ID for their ids."""
        text = self._text([*_question(), _message(names, as_text, arguments)]).rpartition(QUESTION)[2]
        for each in IDS:
            text = text.replace(each, ID)
        if not text:
            return ""
        text = text[len(shared(text, self._head)):]
        return text[:min((at for each in self._ends if (at := text.find(each)) >= 0), default=len(text))].rstrip()


def _wording(texts: _Chats, names: Sequence[str], as_text: bool) -> CallWording | None:
    text = texts.calls(names, as_text)
    pieces = re.split("|".join(map(re.escape, names)), text)
    if len(pieces) != len(names) + 1:
        return None
    found = [_json_arguments(piece) for piece in pieces[1:]]
    if all(found):
        return _of_json(pieces[0], [each for each in found if each], as_text)
    return _of_parameters(texts, pieces, as_text)


def _json_arguments(piece: str) -> tuple[str, str] | None:
    """The text before and after the arguments as a JSON object."""
    for found in re.finditer(r"\{", piece):
        try:
            value, end = json.JSONDecoder().raw_decode(piece, found.start())
        except ValueError:
            continue
        if value == ARGUMENTS:
            return piece[:found.start()], piece[end:]
    return None


def _of_json(lead: str, parts: Sequence[tuple[str, str]], as_text: bool) -> CallWording | None:
    if ID in lead or any(before != parts[0][0] for before, _ in parts) or not parts[0][0]:
        return None
    joins = [after for _, after in parts]
    return CallWording(lead, parts[0][0], joins[0] if len(joins) > 1 else None, joins[-1], arguments_are_text=as_text)


def _of_parameters(texts: _Chats, pieces: Sequence[str], as_text: bool) -> CallWording | None:
    shape = r"(.+?)first_key(.+?)some value(.+?)second_key(.+?)73(.+?)third_key(.+?)(true|True)(.*)"
    found = [re.fullmatch(shape, piece, re.DOTALL) for piece in pieces[1:]]
    if not all(found):
        return None
    parts = [each.groups() for each in found if each]
    first, after_text, between_text, after_key, between, after_last, true, after = parts[0]
    if any(each[:7] != parts[0][:7] for each in parts) or after_key != after_last or between != between_text.removeprefix(
            quote := after_text.removeprefix(after_key)) or not after_text.startswith(after_key):
        return None
    last, end, none = _ends(texts, parts[-1][7], as_text)
    if len(parts) > 1 and not after.startswith(last):
        return None
    each = ParameterWording(first, after_key, between, last, none, quote, true == "True")
    if ID in "".join((pieces[0], first, none)) or (each.is_raw and not (each.stop or quote)):
        return None
    return CallWording(pieces[0], first, after.removeprefix(last) if len(parts) > 1 else None, end, each, arguments_are_text=as_text)


def _ends(texts: _Chats, after: str, as_text: bool) -> tuple[str, str, str]:
    """What follows the last argument, the end of the calls after it, and what a call without arguments has in their place."""
    empty = texts.calls(NAMES[:1], as_text, {}).partition(NAMES[0])[2]
    size = len(shared(after[::-1], empty[::-1]))
    return after[:len(after) - size], after[len(after) - size:], empty[:len(empty) - size]


def _reads_back(wording: CallWording, text: str, names: Sequence[str]) -> bool:
    parser = CallParser(wording, TOOLS)
    text = text.replace(ID, IDS[0])
    found = [each for piece in (*text, None) for each in (parser.flush() if piece is None else parser.feed(piece))]
    pieces = [each for each in found if isinstance(each, ToolCallDelta)]
    if len(pieces) != len(found) or not parser.is_whole or parser.num_calls != len(names):
        return False
    return [(call.name, call.values) for call in calls_of(pieces)] == [(name, ARGUMENTS) for name in names]


def _question() -> list[dict[str, Any]]:
    return [{"role": "user", "content": QUESTION}]


def _message(names: Sequence[str], as_text: bool, arguments: Mapping[str, Any] = ARGUMENTS) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments) if as_text else dict(arguments)}}
        for id, name in zip(IDS, names, strict=False)]}


def _result(number: int) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": IDS[number], "name": NAMES[number], "content": RESULTS[number]}
