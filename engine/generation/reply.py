"""One reply from start to end, in either lane: token ids to text, stop strings, reasoning, and usage."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..messages import Finished, FinishReason, GenerationOptions, Message, StreamEvent, Usage
from .base import Ended, NewTokens, TokenGenerator
from .context import ChatContext, Prompt
from .text import IncrementalDecoder, ReasoningSplitter, StopStrings, closing_mark

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    messages: tuple[Message, ...]
    options: GenerationOptions
    stop: threading.Event | None = None
    visitor: str = ""

    @property
    def is_stopped(self) -> bool:
        return self.stop is not None and self.stop.is_set()


class _Meter:
    """Measures the times and token counts of one reply."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.first_at = self.last_at = 0.0
        self.new_tokens = self.first_tokens = self.cached_tokens = self.thought_tokens = 0
        self.thought_s = 0.0

    def count(self, tokens: NewTokens) -> None:
        self.last_at = time.monotonic()
        if not self.first_at:
            self.first_at, self.first_tokens, self.cached_tokens = self.last_at, len(tokens.ids), tokens.cached_tokens
        self.new_tokens += len(tokens.ids)

    def thought(self) -> None:
        """All tokens so far belong to the thoughts."""
        self.thought_tokens, self.thought_s = self.new_tokens, self.last_at - self.first_at

    def usage(self, prompt: Prompt) -> Usage:
        decoding = self.last_at - self.first_at
        rate = (self.new_tokens - self.first_tokens) / decoding if decoding > 0 else 0.0
        ttft = (self.first_at or time.monotonic()) - self.started
        return Usage(len(prompt.ids), self.cached_tokens, self.new_tokens, ttft, rate, prompt.dropped_messages, prompt.dropped_tokens,
                     self.thought_tokens, self.thought_s)


def stream_reply(request: ReplyRequest, context: ChatContext, generator: TokenGenerator,
                 tokenizer: PreTrainedTokenizerBase) -> Generator[StreamEvent, None, None]:
    """All events of one reply; the last is Finished. Closing the generator, or setting the request's `stop`, ends the work within a step.

    Raises InvalidRequest, GenerationFailed, and their subclasses.
    """
    meter = _Meter()
    asked = request.options
    prompt = context.fit(request.messages, asked.max_new_tokens, asked.reasoning_effort, asked.reasoning_budget)
    options = replace(asked, max_new_tokens=min(asked.max_new_tokens, prompt.room))
    decoder, stops = IncrementalDecoder(tokenizer, context.marks), StopStrings((*asked.stop, *context.stops))
    splitter = ReasoningSplitter(prompt.open_thought, closing_mark(context.marks, prompt.text), goes_on=prompt.has_thoughts)
    limit = context.limit(prompt, asked.reasoning_budget)
    ids: list[int] = []
    shown: list[str] = []
    reason: FinishReason = "stop"
    with closing(generator.stream(prompt.ids, options, request.visitor, limit)) as events:
        for event in events:
            if request.is_stopped:
                reason = "stopped"
                break
            if isinstance(event, NewTokens):
                meter.count(event)
                ids += event.ids
                text = stops.feed(decoder.feed(event.ids))
                shown.append(text)
                was_thinking = splitter.is_thinking
                yield from splitter.feed(text)
                if was_thinking or splitter.is_thinking:
                    meter.thought()
                if stops.is_hit:
                    break
            elif isinstance(event, Ended):
                reason = event.reason
            else:
                yield event
    if not stops.is_hit:
        rest = stops.feed(decoder.flush()) + stops.flush()
        shown.append(rest)
        yield from splitter.feed(rest)
        if reason == "stop":        # without the end-of-turn token, which the template of the next turn writes
            context.remember(prompt, "".join(shown), ids[:-1])
    yield from splitter.flush()
    yield Finished(reason, meter.usage(prompt), prompt.notes)
