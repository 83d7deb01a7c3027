"""A chat as the request body of OpenAI's chat completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import NotOnThisMachine
from ..messages import NO_LIMIT, GenerationOptions, Message
from ..pictures import to_base64
from ..shapes import Shape
from ..tool_calls import CHOICES

NO_BUDGET_NOTE = "The limit for thoughts was left out: the server has no option for it."


@dataclass(frozen=True, slots=True)
class RequestBody:
    """`fields`: of OpenAI's API. `extras`: those that servers of open models add to it; some servers refuse them."""

    fields: dict[str, Any]
    extras: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def request_body(model: str, messages: Sequence[Message], options: GenerationOptions) -> RequestBody:
    """Raises NotOnThisMachine for what only a model on this machine does."""
    fields: dict[str, Any] = {
        "model": model, "messages": [message_dict(message) for message in messages], "stream": True,
        "stream_options": {"include_usage": True}, "temperature": options.temperature, "top_p": options.top_p}
    if options.max_new_tokens < NO_LIMIT:
        fields["max_tokens"] = options.max_new_tokens
    if options.shape is not None:
        fields["response_format"] = response_format(model, options.shape)
    if options.tools:
        fields |= {"tools": [tool.described for tool in options.tools], "tool_choice": _choice(options.tool_choice)}
        if not options.parallel_tool_calls:
            fields["parallel_tool_calls"] = False
    for name, value in (("presence_penalty", options.presence_penalty), ("frequency_penalty", options.frequency_penalty),
                        ("seed", options.seed), ("stop", list(options.stop)), ("reasoning_effort", options.reasoning_effort),
                        ("logit_bias", {str(token): bias for token, bias in dict(options.logit_bias).items()})):
        if value:
            fields[name] = value
    if options.seed == 0:
        fields["seed"] = 0
    notes = () if options.reasoning_budget is None else (NO_BUDGET_NOTE,)
    return RequestBody(fields, _extras(messages, options), notes)


def _choice(choice: str) -> str | dict[str, Any]:
    return choice if choice in CHOICES else {"type": "function", "function": {"name": choice}}


def response_format(model: str, shape: Shape) -> dict[str, Any]:
    """Only JSON: servers that do not know vLLM's fields for other shapes ignore them without a word. Raises NotOnThisMachine."""
    if not shape.is_json:
        raise NotOnThisMachine(model, "answers in another shape than JSON")
    if shape.kind == "json":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": json.loads(shape.schema), "strict": True}}


def _extras(messages: Sequence[Message], options: GenerationOptions) -> dict[str, Any]:
    """What vLLM, SGLang, TGI and llama.cpp call it; llama.cpp has another name for the repetition penalty."""
    extras: dict[str, Any] = {}
    if options.top_k:
        extras["top_k"] = options.top_k
    if options.min_p:
        extras["min_p"] = options.min_p
    if options.repetition_penalty != 1:
        extras["repetition_penalty"] = extras["repeat_penalty"] = options.repetition_penalty
    if options.ignores_end:
        extras["ignore_eos"] = True
    if options.reasoning_effort is not None:
        extras["chat_template_kwargs"] = {"enable_thinking": options.reasoning_effort != "none"}
    if messages and messages[-1].role == "assistant":       # the beginning of the reply
        extras |= {"add_generation_prompt": False, "continue_final_message": True}
    return extras


def message_dict(message: Message) -> dict[str, Any]:
    """A message in OpenAI's form; pictures come before the text."""
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
    if message.tool_calls:
        return {"role": "assistant", "content": message.content or None, "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls]}
    if not message.pictures:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": f"data:{picture.media_type};base64,{to_base64(picture)}"}}
        for picture in message.pictures]
    return {"role": message.role, "content": [*parts, {"type": "text", "text": message.content}]}
