"""The answers of /v1/responses: reasoning if the model thought, a message, calls of functions. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import Finished, GenerationOptions, TextDelta

from .errors import ApiError, api_error
from .replies import Collected, Shown, joined
from .requests import ResponsesRequest
from .response_items import Delta, Item
from .tools import chosen, described
from .writing import event, new_id, now, usage_of, usages

NOT_KEPT = "This server keeps no responses. Send the whole conversation as input, "


def require_stateless(request: ResponsesRequest) -> None:
    """Raises ApiError for a request that builds on a stored response, or wants its own stored."""
    if request.previous_response_id is not None:
        raise ApiError(400, "unsupported_parameter", f"{NOT_KEPT}with the output of the earlier response in it.", "previous_response_id")
    if (request.model_extra or {}).get("store"):
        raise ApiError(400, "unsupported_parameter", f"{NOT_KEPT}and leave “store” out or set it to false.", "store")


class ResponseWriter:
    """The answer to `request`, whose options are `options`."""

    def __init__(self, request: ResponsesRequest, model: str, options: GenerationOptions) -> None:
        self._request, self._options = request, options
        self._base: dict[str, Any] = {
            "id": new_id("resp_"), "object": "response", "created_at": now(), "model": model, "error": None, "incomplete_details": None,
            "instructions": request.instructions, "metadata": (request.model_extra or {}).get("metadata") or {},
            "parallel_tool_calls": options.parallel_tool_calls, "temperature": options.temperature, "top_p": options.top_p,
            "tool_choice": chosen(options.tool_choice), "tools": described(options.tools),
            "max_output_tokens": request.max_output_tokens, "previous_response_id": None, "store": False, "truncation": "auto",
            "background": False, "reasoning": {"effort": options.reasoning_effort, "summary": None},
            "text": {"format": _format(request)}, "top_logprobs": options.top_logprobs or 0}
        self._number = 0            # of the next event
        self._items: list[Item] = []

    def whole(self, choices: Sequence[Collected]) -> dict[str, Any]:
        choice = choices[0]
        for _, delta in joined([(0, delta) for delta in choice.deltas]):
            assert not isinstance(delta, Finished)
            self._written(delta)
        return self._ended(choice)[1]

    def begin(self) -> bytes:
        response = self._response("in_progress", [])
        return self._event("response.created", response=response) + self._event("response.in_progress", response=response)

    def write(self, batch: Sequence[tuple[int, Shown]]) -> bytes:
        return b"".join(self._written(shown) for _, shown in batch if not isinstance(shown, Finished))

    def end(self, choices: Sequence[Collected]) -> bytes:
        written, response = self._ended(choices[0])
        return written + self._event(f"response.{response['status']}", response=response)

    def fail(self, error: Exception) -> bytes:
        found = api_error(error)
        response = {**self._response("failed", [item.shown("incomplete") for item in self._items]),
                    "error": {"code": "rate_limit_exceeded" if found.status == 429 else "server_error", "message": found.message}}
        return self._event("response.failed", response=response)

    # --- events ---

    def _written(self, delta: Delta) -> bytes:
        written = b""
        if not self._items or not self._items[-1].takes(delta):
            written += self._items[-1].close("completed", self._event) if self._items else b""
            self._items.append(Item(len(self._items), delta))
            written += self._items[-1].open(self._event)
        return written + self._items[-1].add(delta, self._event)

    def _ended(self, choice: Collected) -> tuple[bytes, dict[str, Any]]:
        """The events that end the last item, and the whole response."""
        status = "incomplete" if choice.reason == "length" else "completed"
        written = b""
        if not self._items:
            self._items.append(Item(0, TextDelta("")))
            written = self._items[-1].open(self._event)
        written += self._items[-1].close(status, self._event)
        return written, self._response(status, [
            item.shown(status if item is self._items[-1] else "completed") for item in self._items], choice)

    def _event(self, kind: str, **content: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return event({"type": kind, "sequence_number": number, **content}, kind)

    def _response(self, status: str, output: list[dict[str, Any]], choice: Collected | None = None) -> dict[str, Any]:
        details = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {**self._base, "status": status, "output": output, "incomplete_details": details,
                "completed_at": now() if choice else None, "usage": _usage(choice) if choice else None}


def _format(request: ResponsesRequest) -> dict[str, Any]:
    given = request.text.format if request.text else None
    return given.model_dump(by_alias=True, exclude_none=True) if given else {"type": "text"}


def _usage(choice: Collected) -> dict[str, Any]:
    usage = usage_of(usages([choice]))
    return {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"], "total_tokens": usage["total_tokens"],
            "input_tokens_details": {"cached_tokens": usage["prompt_tokens_details"]["cached_tokens"], "cache_write_tokens": 0},
            "output_tokens_details": usage["completion_tokens_details"],
            "dropped_messages": usage["dropped_messages"], "dropped_tokens": usage["dropped_tokens"]}
