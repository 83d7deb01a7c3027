"""From a request's fields to the engine's messages and options."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from engine import GenerationOptions, Message, ToolCall
from engine.errors import AttachmentRefused
from engine.messages import NO_LIMIT
from engine.pictures import MAX_BYTES, Picture, read_picture

from .errors import ApiError
from .fields import Body
from .requests import ChatMessage, ChatRequest, CompletionRequest, ImageUrl, InputItem, Part, ResponsesRequest, Sampling
from .shapes import shape_of, shape_of_response
from .tools import calls_of, tool_options, written_call

DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
TEXT_PARTS, PICTURE_PARTS = ("text", "input_text", "output_text", "reasoning_text", "summary_text"), ("image_url", "input_image")
SYSTEM_ROLES = ("system", "developer")
ITEMS = ("message", "reasoning", "function_call", "function_call_output")
NO_FETCHING = ("Pictures are accepted as data URLs only (data:image/png;base64,…): this server fetches no addresses. "
               "Encode the file, and send it in the message.")
# Of a message: shown to people, or about tools that were not used.
MESSAGE_HARMLESS = frozenset(("name", "id", "status", "phase", "refusal", "audio", "detail", "logprobs", "prompt_cache_breakpoint", "type"))
# transformers' names of sampling options, and ours; those after it say nothing about one reply.
CONFIG_FIELDS = {"max_new_tokens": "max_new_tokens", "temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
                 "repetition_penalty": "repetition_penalty", "stop_strings": "stop"}
CONFIG_HARMLESS = frozenset(("do_sample", "transformers_version", "use_cache", "eos_token_id", "bos_token_id", "pad_token_id",
                             "max_length", "_from_model_config", "cache_implementation"))


# --- messages ---

def messages_of(chat: Sequence[ChatMessage]) -> tuple[list[Message], tuple[str, ...]]:
    """The messages, and the names of fields without effect. System messages at the beginning become one.

    Raises ApiError and InvalidRequest. Slow if there are pictures: call it in a thread then.
    """
    messages: list[Message] = []
    ignored: tuple[str, ...] = ()
    for number, each in enumerate(chat):
        place = f"messages.{number}."
        if each.role == "function":
            raise ApiError(400, "unsupported_parameter", "Messages of the role function are not supported: use tool.", f"{place}role")
        ignored += each.ignored(place, MESSAGE_HARMLESS)
        text, pictures, more = _content(each.content, f"{place}content.")
        ignored += more
        messages.append(_message(each.role, text, each.reasoning_content or each.reasoning or "", pictures,
                                 tool_calls=calls_of(each.tool_calls, place), tool_call_id=each.tool_call_id or ""))
    return merged_systems(messages), ignored


def input_of(request: ResponsesRequest) -> tuple[list[Message], tuple[str, ...]]:
    """As `messages_of`, for the input of /v1/responses. A reasoning item belongs to the answer after it."""
    rules = [Message("system", request.instructions)] if request.instructions else []
    if isinstance(request.input, str):
        return [*rules, Message("user", request.input)], ()
    messages, thoughts = rules, ""
    ignored: tuple[str, ...] = ()
    for number, item in enumerate(request.input):
        place = f"input.{number}."
        kind = item.type or "message"
        if kind not in ITEMS or (kind == "message" and item.role is None):
            raise ApiError(400, "unsupported_parameter", f"An item of the type “{kind[:100]}” without a role is not supported: "
                           f"this server reads {', '.join(ITEMS)}.", f"{place}type")
        ignored += item.ignored(place, MESSAGE_HARMLESS | {"summary", "encrypted_content"})
        text, pictures, more = _content(item.output if kind == "function_call_output" else item.content, f"{place}content.")
        ignored += more
        if kind == "reasoning":
            thoughts = text
            continue
        if kind == "function_call_output":
            messages = [*messages, Message("tool", text, tool_call_id=item.call_id or "")]
            continue
        if kind == "function_call":
            messages = _with_call(messages, written_call(item.call_id or "", item.name or "", item.arguments), thoughts)
            thoughts = ""
            continue
        messages = [*messages, _message(str(item.role), text, thoughts, pictures)]
        thoughts = ""
    return merged_systems(messages), ignored


def has_pictures(items: Iterable[ChatMessage | InputItem]) -> bool:
    return any(part.type in PICTURE_PARTS for item in items if isinstance(item.content, list) for part in item.content)


def merged_systems(messages: Sequence[Message]) -> list[Message]:
    """One system message instead of several at the beginning. The engine refuses those at other places."""
    count = next((number for number, message in enumerate(messages) if message.role != "system"), len(messages))
    rules = "\n\n".join(message.content for message in messages[:count] if message.content)
    return [*([Message("system", rules)] if rules else []), *messages[count:]]


def _message(role: str, text: str, reasoning: str, pictures: Sequence[Picture], **more: Any) -> Message:
    engine_role: Any = "system" if role in SYSTEM_ROLES else role
    return Message(engine_role, text, reasoning if role == "assistant" else "", pictures, **more)


def _with_call(messages: Sequence[Message], call: ToolCall, thoughts: str) -> list[Message]:
    """The messages with one more call, in the last message if that is the assistant's."""
    if messages and messages[-1].role == "assistant" and not thoughts:
        return [*messages[:-1], replace(messages[-1], tool_calls=(*messages[-1].tool_calls, call))]
    return [*messages, Message("assistant", "", thoughts, tool_calls=(call,))]


def _content(content: str | list[Part] | None, place: str) -> tuple[str, list[Picture], tuple[str, ...]]:
    """The text and the pictures of a message, and its fields without effect."""
    if content is None or isinstance(content, str):
        return content or "", [], ()
    texts: list[str] = []
    pictures: list[Picture] = []
    ignored: tuple[str, ...] = ()
    for number, part in enumerate(content):
        if part.type in TEXT_PARTS:
            texts.append(part.text or "")
        elif part.type in PICTURE_PARTS:
            pictures.append(_picture(part.image_url, len(pictures) + 1, f"{place}{number}.image_url"))
        else:
            raise ApiError(400, "unsupported_parameter", f"Parts of the type “{part.type[:100]}” are not supported: "
                           "this server reads text and pictures.", f"{place}{number}.type")
        ignored += part.ignored(f"{place}{number}.", MESSAGE_HARMLESS | {"annotations"})
    return "\n".join(texts), pictures, ignored


def _picture(given: ImageUrl | str | None, number: int, place: str) -> Picture:
    url = given.url if isinstance(given, ImageUrl) else given or ""
    head = DATA_URL.match(url)
    if head is None:
        raise ApiError(400, "invalid_image_url", NO_FETCHING, place)
    if len(url) > MAX_BYTES * 4 / 3 + 100:
        raise ApiError(400, "invalid_image", f"A picture may have at most {MAX_BYTES / 1e6:.0f} MB.", place)
    try:
        return read_picture(f"picture {number}", base64.b64decode(url[head.end():], validate=True))
    except (binascii.Error, AttachmentRefused) as error:
        raise ApiError(400, "invalid_image", f"The picture cannot be read: {error}", place) from error


# --- options ---

def chat_options(request: ChatRequest, defaults: GenerationOptions) -> GenerationOptions:
    if request.top_logprobs is not None and not request.logprobs:
        raise ApiError(400, "invalid_value", "top_logprobs needs logprobs to be true.", "top_logprobs")
    last = request.messages[-1].role == "assistant"
    if request.continue_final_message is not None and request.continue_final_message != last:
        raise ApiError(400, "invalid_value", "continue_final_message must be true exactly if the last message is the assistant's.",
                       "continue_final_message")
    limit = request.max_completion_tokens or request.max_tokens
    given = {**_older(request), "max_new_tokens": limit, "top_logprobs": request.top_logprobs or 0 if request.logprobs else None,
             "reasoning_effort": request.reasoning_effort, "reasoning_budget": request.reasoning_budget, **tool_options(request)}
    return _options(request, replace(defaults, **_config(request.generation_config)), given)


def completion_options(request: CompletionRequest, defaults: GenerationOptions) -> GenerationOptions:
    limit = request.max_tokens or 16        # OpenAI's default
    return _options(request, defaults, {**_older(request), "max_new_tokens": limit, "top_logprobs": request.logprobs})


def response_options(request: ResponsesRequest, defaults: GenerationOptions) -> GenerationOptions:
    wants_scores = request.top_logprobs is not None or "message.output_text.logprobs" in (request.include or ())
    effort = request.reasoning.effort if request.reasoning else None
    return _options(request, defaults, {
        "max_new_tokens": request.max_output_tokens or NO_LIMIT, "top_logprobs": request.top_logprobs or 0 if wants_scores else None,
        "seed": request.seed, "shape": shape_of_response(request),
        "reasoning_effort": effort, "reasoning_budget": request.reasoning_budget, **tool_options(request)})


def _older(request: ChatRequest | CompletionRequest) -> dict[str, Any]:
    return {"stop": request.stop, "seed": request.seed, "presence_penalty": request.presence_penalty,
            "frequency_penalty": request.frequency_penalty, "logit_bias": request.logit_bias, "ignores_end": request.ignore_eos,
            "shape": shape_of(request)}


def _options(request: Sampling, defaults: GenerationOptions, given: dict[str, Any]) -> GenerationOptions:
    """The options of a request. Raises InvalidRequest."""
    sampling = {name: getattr(request, name) for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "adapter")}
    chosen = {name: value for name, value in {**given, **{k: v for k, v in sampling.items() if v is not None}}.items() if value is not None}
    return replace(defaults, **chosen)


def _config(given: str | dict[str, Any] | None) -> dict[str, Any]:
    """The options in a generation_config, which `transformers chat` sends as JSON in a text. Raises ApiError."""
    if given is None:
        return {"max_new_tokens": NO_LIMIT}
    try:
        config = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise ApiError(400, "invalid_value", "generation_config must be a JSON object.", "generation_config")
    known = {name: value for name, value in config.items() if name in CONFIG_FIELDS}
    Body.model_validate({name: value for name, value in config.items() if name not in known}).ignored("generation_config.", CONFIG_HARMLESS)
    options = {"max_new_tokens": NO_LIMIT} | {CONFIG_FIELDS[name]: value for name, value in known.items() if value is not None}
    return {**options, "temperature": 0.0} if config.get("do_sample") is False else options


def with_seed(options: GenerationOptions, number: int) -> GenerationOptions:
    """The options of one of several choices: with a seed, each has its own."""
    if options.seed is None or number == 0:
        return options
    return replace(options, seed=(options.seed + number) % 2**63)
