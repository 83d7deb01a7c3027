"""What clients may send. Names and meanings are those of the OpenAI API; the fields after `# ours` are additions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.messages import NO_LIMIT, Effort
from engine.tool_calls import MAX_TOOLS

from .fields import Body

MAX_CHOICES = 8
MAX_MESSAGES = 4096
MAX_PROMPTS = 16
MAX_TEXTS = 2048        # as OpenAI's

Count = Annotated[int, Field(ge=1, le=NO_LIMIT)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Budget = Annotated[int, Field(ge=0, le=NO_LIMIT, description="Thoughts are ended after this many tokens.")]
ModelName = Annotated[str, Field(max_length=300, description="The loaded model, as /v1/models names it, or “default”.")]
Stops = Annotated[str, Field(min_length=1, max_length=1000)] | Annotated[
    list[Annotated[str, Field(min_length=1, max_length=1000)]], Field(max_length=8)]


class ImageUrl(Body):
    url: str
    detail: str | None = None


class Part(Body):
    """A part of a message: a `text` (of the type text, input_text or output_text), or a picture (image_url or input_image)."""

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None


class CalledFunction(Body):
    name: str
    arguments: str | None = None


class CallFields(Body):
    """A call in a message of the assistant, as an answer had it."""

    id: str
    type: str | None = None
    function: CalledFunction | None = None


class FunctionFields(Body):
    """`parameters`: a JSON schema. `strict` makes no difference: arguments always fit their schema."""

    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolFields(FunctionFields):
    """Chat completions have the function in `function`, responses here."""

    type: str
    function: FunctionFields | None = None


class ToolRequest(Body):
    tools: Annotated[list[ToolFields], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | dict[str, Any] | None = Field(None, description="auto, none, required, or an object that names a function.")
    parallel_tool_calls: bool | None = None


class ChatMessage(Body):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[CallFields] | None = None
    tool_call_id: str | None = Field(None, description="Of the role tool: the call whose result this is.")
    reasoning_content: str | None = Field(None, description="The thoughts before an answer of the assistant.")
    reasoning: str | None = Field(None, description="The same, under its other name.")


class StreamOptions(Body):
    include_usage: bool | None = None


class JsonSchema(Body):
    """`strict` makes no difference: an answer always keeps to its schema."""

    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    body: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class TextFormat(JsonSchema):
    type: Literal["text", "json_object", "json_schema"]


class TextOptions(Body):
    format: TextFormat | None = None


class Sampling(Body):
    """How a reply is sampled. Where a field is left out, what the model's author recommends applies."""

    model: ModelName
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    # ours
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.1, le=5)] | None = None
    adapter: Annotated[str, Field(max_length=300)] | None = Field(None, description="The name of a loaded LoRA adapter.")


class TokenSampling(Sampling):
    """Of the two older endpoints."""

    max_tokens: Count | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: Stops | None = None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[Annotated[int, Field(ge=0, le=2**31 - 1)], Annotated[float, Field(ge=-100, le=100)]] | None = None
    response_format: ResponseFormat | None = None
    # ours, as vLLM names them
    guided_json: dict[str, Any] | str | None = Field(None, description="A JSON schema that the answer fits.")
    guided_regex: Annotated[str, Field(min_length=1)] | None = Field(None, description="A pattern that the whole answer matches.")
    guided_choice: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="Texts, one of which is the answer.")
    ignore_eos: bool | None = Field(None, description="Go on after tokens that end a reply, until max_tokens: for measurements.")


class ChatRequest(TokenSampling, ToolRequest):
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: Effort | None = None
    # ours
    reasoning_budget: Budget | None = None
    continue_final_message: bool | None = Field(
        None, description="Whether the last message, if it is the assistant's, is the beginning of the reply. It always is; "
                          "true also requires that there is one, and false that there is none.")
    generation_config: str | dict[str, Any] | None = Field(None, description="Sampling options by their names in transformers.")


class CompletionRequest(TokenSampling):
    prompt: str | list[int] | list[str] | list[list[int]]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class Reasoning(Body):
    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None


class InputItem(Body):
    """A message, an item that an earlier response put out (message, reasoning, function_call), or a function_call_output."""

    type: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[Part] | None = None


class ResponsesRequest(Sampling, ToolRequest):
    input: str | Annotated[list[InputItem], Field(min_length=1, max_length=MAX_MESSAGES)]
    instructions: str | None = None
    max_output_tokens: Count | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    include: list[str] | None = None
    previous_response_id: str | None = None
    # ours
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    reasoning_budget: Budget | None = None


class EmbeddingsRequest(Body):
    input: str | Annotated[list[str] | list[int] | list[list[int]], Field(max_length=MAX_TEXTS)]
    model: Annotated[str, Field(max_length=300, description="The embedding model, or “default”.")]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=65536)] | None = None
    # ours
    input_type: Literal["query", "document"] = Field("document", description="Some models read questions in another way than texts.")


class LoadRequest(Body):
    """Sizes in tokens and in replies at once; left out: those of the settings."""

    model: Annotated[str, Field(min_length=1, max_length=300)] = Field(description="“builtin”, a folder, or owner/name on the hub.")
    revision: Annotated[str, Field(max_length=100)] | None = None
    quantization: Literal["none", "8bit", "4bit", "int8", "int4", "nf4"] = "none"
    context_tokens: Annotated[int, Field(ge=64, le=NO_LIMIT)] | None = None
    concurrent_replies: Annotated[int, Field(ge=1, le=256)] | None = None
