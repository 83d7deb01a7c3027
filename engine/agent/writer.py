"""Generates one reply of the model, as events and as a parsed value. A reply that was cut off is continued once."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ..background import StopSignal, in_thread
from ..errors import MessageTooLong
from ..generation.text import ReasoningSplitter
from ..messages import Finished, FinishReason, GenerationOptions, Message, Prefill, ReasoningDelta, TextDelta, Waiting
from ..providers.base import ChatProvider
from ..tool_calls import Tool, ToolCallDelta
from .calling import CLOSE, TOOL_TOKENS, CallText, offered
from .events import AgentEvent, Thinking, Writing
from .feedback import Exchange, PromptText, fitted
from .parsing import ParsedReply, parse, resumed
from .window import Window

SMALL_SHARE = 4         # a reply may take a quarter of the window


@dataclass(frozen=True, slots=True)
class WrittenReply:
    """`is_cut`: it is incomplete, even after a continuation."""

    reply: ParsedReply
    reason: FinishReason
    tokens: int
    calls: int
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Call:
    text: str
    reason: FinishReason
    tokens: int


class Writer:
    """Calls one provider, and stores the window size that a refusal reports."""

    def __init__(self, provider: ChatProvider, options: GenerationOptions, window: Window, stop: StopSignal) -> None:
        self.provider, self.options, self.window, self._stop = provider, options, window, stop

    def write(self, prompt: PromptText, history: Sequence[Exchange], program: str = "", *,
              is_closing: bool = False) -> Generator[AgentEvent, None, WrittenReply]:
        """Generate a reply. `program`: a program about as long as the expected reply. `is_closing`: it is to be an answer in words.

        Raises EngineError as the provider does.
        """
        tools = () if is_closing else offered(self.provider)
        messages = self._messages(prompt, history, program, tools)
        try:
            first = yield from self._call(messages, tools)
        except MessageTooLong as refusal:
            if self.window.is_known:
                raise
            self.window = self.window.learned(messages, refusal)
            messages = self._messages(prompt, history, program, tools)
            first = yield from self._call(messages, tools)
        reply = parse(first.text)
        if not _is_cut(reply, first.reason) or not reply.text.strip():
            return WrittenReply(reply, first.reason, first.tokens, 1, _is_cut(reply, first.reason))
        return (yield from self._continue(messages, first))

    def _continue(self, messages: Sequence[Message], first: _Call) -> Generator[AgentEvent, None, WrittenReply]:
        try:
            rest = yield from self._call([*messages, Message("assistant", first.text)])
        except MessageTooLong:      # the reply so far has filled the window
            return WrittenReply(parse(first.text), first.reason, first.tokens, 1, True)
        reply = parse(resumed(first.text, rest.text))
        return WrittenReply(reply, rest.reason, first.tokens + rest.tokens, 2, _is_cut(reply, rest.reason))

    def _messages(self, prompt: PromptText, history: Sequence[Exchange], program: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
        quarter = min(self.options.max_new_tokens, self.window.tokens // SMALL_SHARE)
        wanted = max(quarter, self.window.count(program) + 32 if program else 0)
        taken = min(wanted, self.window.tokens // 2) + (TOOL_TOKENS if tools else 0)
        return fitted(prompt, history, self.window, taken, calls_tools=bool(tools))

    def _call(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Generator[AgentEvent, None, _Call]:
        """One request. The program of a call of a tool becomes a fenced block of the text (calling.py)."""
        started = time.monotonic()
        splitter, pieces, finished, call = ReasoningSplitter(), list[str](), None, CallText()
        options = replace(self.options, tools=tools, parallel_tool_calls=False) if tools else self.options
        with closing(in_thread(lambda: self.provider.chat(messages, options), self._stop)) as events:
            for event in events:
                match event:
                    case None:
                        yield Waiting(0, time.monotonic() - started)
                    case Finished():
                        finished = event
                    case Waiting() | Prefill():
                        yield event
                    case ReasoningDelta(text):
                        yield Thinking(text)
                    case TextDelta(text):
                        yield from _split_events(splitter.feed(text), pieces)
                    case ToolCallDelta() if new := call.feed(event):
                        yield from _split_events([*splitter.flush(), TextDelta(new)], pieces)
        end = [TextDelta(CLOSE)] if call.is_open and finished is not None and finished.reason == "tool_calls" else []
        yield from _split_events([*splitter.flush(), *end], pieces)
        text = "".join(pieces)
        if finished is None:
            return _Call(text, "stopped", self.window.count(text) if text else 0)
        return _Call(text, finished.reason, finished.usage.new_tokens)


def _split_events(parts: Iterable[TextDelta | ReasoningDelta], pieces: list[str]) -> Iterator[AgentEvent]:
    for part in parts:
        if isinstance(part, TextDelta):
            pieces.append(part.text)
            yield Writing(part.text)
        else:
            yield Thinking(part.text)


def _is_cut(reply: ParsedReply, reason: FinishReason) -> bool:
    """An incomplete program, or any reply without a complete one when the token limit was reached."""
    if reason == "stopped":
        return False
    return reply.is_cut_off or (reason == "length" and (reply.code is None or reply.is_open))
