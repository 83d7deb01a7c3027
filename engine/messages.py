"""The values of a chat: messages and options go in, stream events come out. Pure data; the only behaviour is checks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from .errors import InvalidRequest
from .pictures import Picture
from .plain_text import valid_text
from .shapes import Shape, shape_of
from .tool_calls import Tool, ToolCall, ToolCallDelta, require_choice, require_id, tool_calls_of, tools_of

Role = Literal["system", "user", "assistant", "tool"]
# The model ended it, no tokens were left, it was stopped, the model ended it with whole calls of tools.
FinishReason = Literal["stop", "length", "stopped", "tool_calls"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]       # the values of the OpenAI API's reasoning_effort
EFFORTS: tuple[Effort, ...] = get_args(Effort)      # from none to most
MAX_MESSAGE_CHARS = 2_000_000
MAX_STOP_STRINGS = 8
MAX_PICTURES = 8
MAX_BIASES = 1024
MAX_TOP_LOGPROBS = 20
NO_LIMIT = 1_000_000        # of max_new_tokens: more than any window, so the reply ends where the context does
MIN_TEMPERATURE = 1e-3      # below it, logits / temperature overflow float16, and the likeliest token wins anyway


@dataclass(frozen=True, slots=True)
class Message:
    """`reasoning`: the thoughts before an assistant's answer; the chat template decides whether the model reads them again.

    `pictures`: of a user's message; the model sees them before its text. `tool_calls`: of an assistant's message, after its content.
    A message of the role tool is the result of the call with the id `tool_call_id`; the results of all calls of a message follow it.
    """

    role: Role
    content: str
    reasoning: str = ""
    pictures: Sequence[Picture] = ()
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str = ""

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise InvalidRequest("role", self.role, "system, user, assistant or tool")
        for name in ("content", "reasoning"):
            text = getattr(self, name)
            if not isinstance(text, str):
                raise InvalidRequest(name, type(text).__name__, "text")
            if len(text) > MAX_MESSAGE_CHARS:
                raise InvalidRequest(name, f"{len(text):,} characters", f"at most {MAX_MESSAGE_CHARS:,} characters")
            object.__setattr__(self, name, valid_text(text))
        if self.reasoning and self.role != "assistant":
            raise InvalidRequest("reasoning", f"in a message of the {self.role}", "only before an answer of the assistant")
        object.__setattr__(self, "pictures", tuple(self.pictures))
        if self.pictures and self.role != "user":
            raise InvalidRequest("pictures", f"in a message of the {self.role}", "only in messages of the user")
        if len(self.pictures) > MAX_PICTURES:
            raise InvalidRequest("pictures", len(self.pictures), f"at most {MAX_PICTURES} in a message")
        object.__setattr__(self, "tool_calls", tool_calls_of(self.tool_calls))
        if self.tool_calls and self.role != "assistant":
            raise InvalidRequest("tool_calls", f"in a message of the {self.role}", "only in messages of the assistant")
        if self.role == "tool":
            require_id(self.tool_call_id)
        elif self.tool_call_id:
            raise InvalidRequest("tool_call_id", f"in a message of the {self.role}", "only in messages of the role tool")


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How a reply is sampled.

    temperature 0 is greedy; top_k 0, top_p 1, min_p 0, repetition_penalty 1, presence_penalty 0 and frequency_penalty 0 are off.
    logit_bias: what is added to the logits of single tokens, by their ids. A seed makes a sampled reply reproducible.
    top_logprobs: report the log probability of each token, and of this many likeliest ones. adapter: the name of a loaded LoRA adapter
    that changes the reply, "" for none; None is the one that was loaded with the model, if any. max_new_tokens is an upper bound; the
    context window may leave room for fewer. reasoning_effort: how much the model thinks before it answers; None is its author's default,
    and a model with only a switch thinks for every value but "none". reasoning_budget: after so many tokens its thoughts are ended, and
    it answers; they count for max_new_tokens too. With ignores_end,
    tokens that end a reply are ordinary tokens, so that the reply has exactly max_new_tokens: for measurements. shape: what the answer must
    look like; log probabilities are then those among the tokens that the shape allows. tools: what the model may call. tool_choice: "auto"
    leaves it to the model, "none" forbids calls, "required" asks for at least one, the name of a tool for a call of that one.
    parallel_tool_calls: whether a reply may have several. With a shape, the answer has it if the model calls no tool.
    """

    max_new_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] | Sequence[tuple[int, float]] = ()
    top_logprobs: int | None = None
    adapter: str | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    reasoning_effort: Effort | None = None
    reasoning_budget: int | None = None
    ignores_end: bool = False
    shape: Shape | None = None
    tools: Sequence[Tool] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.stop, (str, list, tuple)):
            raise InvalidRequest("stop", self.stop, "a text or a list of texts")
        object.__setattr__(self, "stop", tuple([self.stop] if isinstance(self.stop, str) else self.stop))
        _require("max_new_tokens", self.max_new_tokens, 1, NO_LIMIT, whole=True)
        _require("temperature", self.temperature, 0, 5)
        _require("top_p", self.top_p, 0, 1)
        _require("top_k", self.top_k, 0, 1_000_000, whole=True)
        _require("min_p", self.min_p, 0, 1)
        _require("repetition_penalty", self.repetition_penalty, 0.1, 5)
        _require("presence_penalty", self.presence_penalty, -2, 2)
        _require("frequency_penalty", self.frequency_penalty, -2, 2)
        if self.top_logprobs is not None:
            _require("top_logprobs", self.top_logprobs, 0, MAX_TOP_LOGPROBS, whole=True)
        if not isinstance(self.adapter, (str, type(None))):
            raise InvalidRequest("adapter", self.adapter, "the name of a loaded adapter")
        if self.reasoning_effort not in (None, *EFFORTS):
            raise InvalidRequest("reasoning_effort", self.reasoning_effort, f"one of {', '.join(EFFORTS)}")
        if self.reasoning_budget is not None:
            _require("reasoning_budget", self.reasoning_budget, 0, 1_000_000, whole=True)
        object.__setattr__(self, "logit_bias", _biases(self.logit_bias))
        if self.seed is not None:
            _require("seed", self.seed, 0, 2**63 - 1, whole=True)
        object.__setattr__(self, "shape", shape_of(self.shape))
        if self.shape is not None and self.ignores_end:
            raise InvalidRequest("ignores_end", True, "left out for an answer in a shape, which ends where the shape does")
        object.__setattr__(self, "tools", tools_of(self.tools))
        require_choice(self.tool_choice, self.tools)
        if self.callable_tools and self.ignores_end:
            raise InvalidRequest("ignores_end", True, "left out for a reply that may call tools, which ends after the calls")
        if len(self.stop) > MAX_STOP_STRINGS or not all(isinstance(text, str) and text for text in self.stop):
            raise InvalidRequest("stop", self.stop, f"at most {MAX_STOP_STRINGS} non-empty texts")

    @property
    def is_greedy(self) -> bool:
        return self.temperature < MIN_TEMPERATURE or self.top_k == 1 or self.top_p == 0

    @property
    def callable_tools(self) -> tuple[Tool, ...]:
        """The tools that the reply may call."""
        if self.tool_choice in ("auto", "required"):
            return tuple(self.tools)
        return tuple(tool for tool in self.tools if tool.name == self.tool_choice)


def _biases(given: object) -> tuple[tuple[int, float], ...]:
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(pairs, (list, tuple)) or len(pairs) > MAX_BIASES or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise InvalidRequest("logit_bias", given, f"a mapping of at most {MAX_BIASES} token ids to numbers")
    for token, bias in pairs:
        _require("logit_bias (a token id)", token, 0, 2**31 - 1, whole=True)
        _require("logit_bias", bias, -100, 100)
    return tuple((token, bias) for token, bias in pairs)


def _require(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    fits_type = isinstance(value, int) if whole else isinstance(value, (int, float))
    if isinstance(value, bool) or not fits_type or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type,operator]
        raise InvalidRequest(name, value, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a model's chat template offers about the thoughts before an answer.

    efforts: what can be chosen, from none to most; empty if there is no choice. A mere switch offers none and medium. default: what
    applies if nothing is chosen, if that is known. has_thoughts: whether the model may write thoughts at all. may_be_unset: nothing need
    be chosen, although the default is not known: a server decides.
    """

    efforts: tuple[Effort, ...] = ()
    default: Effort | None = None
    has_thoughts: bool = False
    may_be_unset: bool = False

    def nearest(self, effort: Effort | None) -> Effort | None:
        """Return the offered effort that is closest to `effort`, a thinking one if possible for a thinking one; None if none is offered."""
        if effort is None or not self.efforts or effort in self.efforts:
            return effort if self.efforts else None
        thinking = tuple(each for each in self.efforts if each != "none" or effort == "none")
        return min(thinking or self.efforts, key=lambda each: abs(EFFORTS.index(each) - EFFORTS.index(effort)))


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts and speed of one reply. `dropped_*`: older turns left out of the prompt because they did not fit.

    `reasoning_*`: the thoughts, which are among the new tokens; their seconds begin with the first token.
    """

    prompt_tokens: int
    cached_tokens: int
    new_tokens: int
    ttft_s: float
    tokens_per_second: float
    dropped_messages: int = 0
    dropped_tokens: int = 0
    reasoning_tokens: int = 0
    reasoning_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PromptView:
    """The prompt as the model gets it: its exact text and its tokens. `room`: how many tokens the reply may have."""

    text: str
    tokens: tuple[str, ...]
    window_tokens: int
    room: int
    dropped_messages: int
    dropped_tokens: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The reply has not begun: `position` requests are ahead of it; `seconds` since the message was sent.

    `expected_s`: until it will probably begin, from how fast the queue moves now; None if that is not known.
    """

    position: int
    seconds: float
    expected_s: float | None = None


@dataclass(frozen=True, slots=True)
class Prefill:
    """Prompt processing: `done` of `total` tokens."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token with its log probability. `data`: its bytes in UTF-8, perhaps only a part of a character.

    likeliest: text, bytes and log probability of the likeliest tokens in its place.
    """

    text: str
    data: bytes
    log_probability: float
    likeliest: tuple[tuple[str, bytes, float], ...]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """`tokens`: those of this piece of text, if the options ask for log probabilities."""

    text: str
    tokens: tuple[TokenScore, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """As TextDelta, of the thoughts before the answer."""

    text: str
    tokens: tuple[TokenScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """Always the last event. `notes`: sentences for a person (system prompt merged, another effort used); the page translates them."""

    reason: FinishReason
    usage: Usage
    notes: tuple[str, ...] = field(default=())


StreamEvent = Waiting | Prefill | TextDelta | ReasoningDelta | ToolCallDelta | Finished
