"""One reply from start to end, in either lane: token ids to text, stop strings, reasoning, log probabilities, and usage."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..messages import Finished, FinishReason, GenerationOptions, Message, ReasoningDelta, StreamEvent, TextDelta, TokenScore, Usage
from ..shapes import CUT_NOTE
from ..tool_calls import ToolCallDelta
from .base import Ended, NewTokens, TokenGenerator
from .call_grammar import answer_with_calls
from .call_parsing import CallParser
from .context import ChatContext, Prompt
from .scored_text import ScoredText
from .shape_masks import ShapedAnswer, Shapes
from .text import IncrementalDecoder, ReasoningSplitter, StopStrings, closing_mark

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """`messages`: a chat, or the token ids of a text that is continued as it is, without chat template and thoughts.

    `shapes`: compiles the shape of the answer.
    """

    messages: tuple[Message, ...] | list[int]
    options: GenerationOptions
    stop: threading.Event | None = None
    visitor: str = ""
    shapes: Shapes | None = None

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


Piece = TextDelta | ReasoningDelta | ToolCallDelta


class _ReplyText:
    """From tokens to pieces: whole characters, nothing of a stop string, thoughts and calls of tools apart, and scores beside text."""

    def __init__(self, request: ReplyRequest, prompt: Prompt, context: ChatContext, tokenizer: PreTrainedTokenizerBase) -> None:
        is_chat = isinstance(request.messages, tuple)
        tools = request.options.callable_tools if is_chat else ()
        self.calls = CallParser(context.tools.wording, tools, prompt.begun) if tools else None
        self._before_calls: list[TokenScore] = []       # of text that may belong to a call
        self._decoder = IncrementalDecoder(tokenizer, {**context.marks, **context.tools.marks} if tools else context.marks)
        self.stops = StopStrings((*request.options.stop, *(context.stops if is_chat else ())))
        self.splitter = ReasoningSplitter(prompt.open_thought, closing_mark(context.marks, prompt.text) if is_chat else "",
                                          goes_on=prompt.has_thoughts, has_thoughts=is_chat)
        self._scored = ScoredText(tokenizer) if request.options.top_logprobs is not None else None
        self._shown: list[str] = []
        self._num_shown = 0

    @property
    def shown(self) -> str:
        """The text so far, with marks of thoughts."""
        return "".join(self._shown)

    @property
    def has_calls(self) -> bool:
        return self.calls is not None and self.calls.num_calls > 0

    def feed(self, tokens: NewTokens) -> Iterator[Piece]:
        if self._scored is None:
            yield from self._split(self._unstopped(self._decoder.feed(tokens.ids)))
            return
        for token_id, score in zip(tokens.ids, tokens.scores, strict=True):
            decoded = self._decoder.feed((token_id,))
            self._scored.add(token_id, score, decoded)
            yield from self._split(self._unstopped(decoded))

    def _unstopped(self, decoded: str) -> str:
        """Without what a stop string ends; where there may be calls, those are looked for in the text beside them only."""
        return self.stops.feed(decoded) if self.calls is None else decoded

    def flush(self) -> Iterator[Piece]:
        if not self.stops.is_hit:
            decoded = self._decoder.flush()
            if self._scored is not None:
                self._scored.flush(decoded)
            yield from self._split(self._unstopped(decoded) + ("" if self.calls else self.stops.flush()))
        yield from self._without_calls(self._with_scores(self.splitter.flush()))
        if self.calls is not None and not self.stops.is_hit:
            yield from self._scored_again(self._stopped(self.calls.flush()))
            yield from self._scored_again(self._held())

    def _split(self, text: str) -> Iterator[Piece]:
        self._shown.append(text)
        self._num_shown += len(text)
        return self._without_calls(self._with_scores(self.splitter.feed(text)))

    def _without_calls(self, pieces: Iterable[TextDelta | ReasoningDelta]) -> Iterator[Piece]:
        for piece in pieces:
            if self.calls is None or isinstance(piece, ReasoningDelta):
                yield piece
                continue
            self._before_calls += piece.tokens
            yield from self._scored_again(self._stopped(self.calls.feed(piece.text)))

    def _stopped(self, pieces: Iterable[TextDelta | ToolCallDelta]) -> Iterator[TextDelta | ToolCallDelta]:
        """Up to a stop string in the text before calls."""
        for piece in pieces:
            if isinstance(piece, ToolCallDelta):
                yield from self._held()
            if self.stops.is_hit:
                return
            if isinstance(piece, ToolCallDelta):
                yield piece
            elif text := self.stops.feed(piece.text):
                yield TextDelta(text)

    def _held(self) -> Iterator[TextDelta]:
        """What could have become a stop string."""
        if text := self.stops.flush():
            yield TextDelta(text)

    def _scored_again(self, pieces: Iterable[TextDelta | ToolCallDelta]) -> Iterator[TextDelta | ToolCallDelta]:
        """Pieces of text get the tokens since the last one."""
        for piece in pieces:
            if isinstance(piece, TextDelta) and self._before_calls:
                piece, self._before_calls = TextDelta(piece.text, tuple(self._before_calls)), []
            yield piece

    def _with_scores(self, pieces: Iterable[TextDelta | ReasoningDelta]) -> Iterator[TextDelta | ReasoningDelta]:
        for piece in pieces:
            yield piece if self._scored is None else self._scored.attach(piece, self._num_shown - self.splitter.num_held)


def stream_reply(request: ReplyRequest, context: ChatContext, generator: TokenGenerator,
                 tokenizer: PreTrainedTokenizerBase) -> Generator[StreamEvent, None, None]:
    """All events of one reply; the last is Finished. Closing the generator, or setting the request's `stop`, ends the work within a step.

    Raises InvalidRequest, GenerationFailed, and their subclasses.
    """
    meter, asked = _Meter(), request.options
    prompt = _prompt(request, context)
    limit = context.limit(prompt, asked) if isinstance(request.messages, tuple) else None
    answer = _shaped(request, prompt, context)
    options = replace(asked, max_new_tokens=min(asked.max_new_tokens, prompt.room))
    text = _ReplyText(request, prompt, context, tokenizer)
    ids: list[int] = []
    reason: FinishReason = "stop"
    lacks_shape = False
    with closing(generator.stream(prompt.ids, options, request.visitor, limit, answer)) as events:
        for event in events:
            if request.is_stopped:
                reason = "stopped"
                break
            if isinstance(event, NewTokens):
                meter.count(event)
                ids += event.ids
                was_thinking = text.splitter.is_thinking
                yield from text.feed(event)
                if was_thinking or text.splitter.is_thinking:
                    meter.thought()
                if text.stops.is_hit:
                    lacks_shape = answer is not None
                    break
            elif isinstance(event, Ended):
                reason, lacks_shape = event.reason, event.lacks_shape
            else:
                yield event
    yield from text.flush()
    if text.calls is not None and text.has_calls:
        lacks_shape = False
        reason = "tool_calls" if reason == "stop" and text.calls.is_whole else reason
    elif reason == "stop" and not text.stops.is_hit and prompt.marked:
        # Without the end-of-turn token, which the next turn's template writes.
        context.remember(prompt, text.shown, ids[:-1])
    yield Finished(reason, meter.usage(prompt), (*prompt.notes, CUT_NOTE) if lacks_shape and asked.shape else prompt.notes)


def check_reply(request: ReplyRequest, context: ChatContext) -> None:
    """Raise what `stream_reply` would raise before it generates."""
    _shaped(request, _prompt(request, context), context)


def _prompt(request: ReplyRequest, context: ChatContext) -> Prompt:
    """Raises what `ChatContext.fit` and `plain` raise."""
    asked = request.options
    if not isinstance(request.messages, tuple):
        return context.plain(request.messages)
    return context.fit(request.messages, asked.max_new_tokens, asked.reasoning_effort, asked.reasoning_budget, asked.callable_tools)


def _shaped(request: ReplyRequest, prompt: Prompt, context: ChatContext) -> ShapedAnswer | None:
    """What the answer must look like, if anything; with tools, its calls. Raises InvalidShape and InvalidTools."""
    options, shapes = request.options, request.shapes
    has_tools = isinstance(request.messages, tuple) and bool(options.callable_tools)
    if not has_tools and options.shape is None:
        return None
    assert shapes is not None
    if has_tools:
        return answer_with_calls(shapes, context.tools.wording, options, prompt.begun)
    assert options.shape is not None
    answer = ShapedAnswer(options.shape, prompt.begun)
    answer.compile(shapes)
    return answer
