"""The answers of /v1/responses: an item of reasoning if the model thought, then a message. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import Finished, GenerationOptions, ReasoningDelta

from .errors import ApiError, api_error
from .replies import Collected, Shown
from .requests import ResponsesRequest
from .writing import event, new_id, now, token_scores, usage_of, usages

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
        self._has_scores = options.top_logprobs is not None
        self._base: dict[str, Any] = {
            "id": new_id("resp_"), "object": "response", "created_at": now(), "model": model, "error": None, "incomplete_details": None,
            "instructions": request.instructions, "metadata": (request.model_extra or {}).get("metadata") or {},
            "parallel_tool_calls": False, "temperature": options.temperature, "top_p": options.top_p, "tool_choice": "none", "tools": [],
            "max_output_tokens": request.max_output_tokens, "previous_response_id": None, "store": False, "truncation": "auto",
            "background": False, "reasoning": {"effort": options.reasoning_effort, "summary": None},
            "text": {"format": _format(request)}, "top_logprobs": options.top_logprobs or 0}
        self._number = 0            # of the next event
        self._items: list[_Item] = []

    def whole(self, choices: Sequence[Collected]) -> dict[str, Any]:
        choice = choices[0]
        status = "incomplete" if choice.reason == "length" else "completed"
        items = [*([_Item.thoughts(choice.reasoning)] if choice.thoughts else []),
                 *([_Item.message(choice.text, token_scores(choice.tokens))] if choice.pieces or not choice.thoughts else [])]
        return self._response(status, [item.shown(status if item is items[-1] else "completed") for item in items], choice)

    def begin(self) -> bytes:
        response = self._response("in_progress", [])
        return self._event("response.created", response=response) + self._event("response.in_progress", response=response)

    def write(self, batch: Sequence[tuple[int, Shown]]) -> bytes:
        return b"".join(self._written(shown) for _, shown in batch if not isinstance(shown, Finished))

    def end(self, choices: Sequence[Collected]) -> bytes:
        choice = choices[0]
        status = "incomplete" if choice.reason == "length" else "completed"
        written = b"" if self._items else self._open(_Item.message())
        written += self._close(status)
        response = self._response(status, [
            item.shown(status if item is self._items[-1] else "completed") for item in self._items], choice)
        return written + self._event(f"response.{status}", response=response)

    def fail(self, error: Exception) -> bytes:
        found = api_error(error)
        response = {**self._response("failed", [item.shown("incomplete") for item in self._items]),
                    "error": {"code": "rate_limit_exceeded" if found.status == 429 else "server_error", "message": found.message}}
        return self._event("response.failed", response=response)

    # --- events ---

    def _written(self, shown: Any) -> bytes:
        is_thought = isinstance(shown, ReasoningDelta)
        written = b""
        if not self._items or self._items[-1].is_thought != is_thought:
            written += self._close("completed") if self._items else b""
            written += self._open(_Item.thoughts() if is_thought else _Item.message())
        item = self._items[-1]
        item.text += shown.text
        if is_thought:
            return written + self._event("response.reasoning_text.delta", **self._place(item), delta=shown.text)
        scores = token_scores(shown.tokens)
        item.scores += scores
        return written + self._event("response.output_text.delta", **self._place(item), delta=shown.text, logprobs=scores)

    def _open(self, item: _Item) -> bytes:
        self._items.append(item)
        number = len(self._items) - 1
        return self._event("response.output_item.added", output_index=number, item=item.shown("in_progress", is_empty=True)) + self._event(
            "response.content_part.added", **self._place(item), part=item.part(is_empty=True))

    def _close(self, status: str) -> bytes:
        item = self._items[-1]
        place = self._place(item)
        if item.is_thought:
            done = self._event("response.reasoning_text.done", **place, text=item.text)
        else:
            done = self._event("response.output_text.done", **place, text=item.text, logprobs=item.scores)
        return done + self._event("response.content_part.done", **place, part=item.part()) + self._event(
            "response.output_item.done", output_index=place["output_index"], item=item.shown(status))

    def _place(self, item: _Item) -> dict[str, Any]:
        return {"item_id": item.id, "output_index": len(self._items) - 1, "content_index": 0}

    def _event(self, kind: str, **content: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return event({"type": kind, "sequence_number": number, **content}, kind)

    def _response(self, status: str, output: list[dict[str, Any]], choice: Collected | None = None) -> dict[str, Any]:
        details = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {**self._base, "status": status, "output": output, "incomplete_details": details,
                "completed_at": now() if choice else None, "usage": _usage(choice) if choice else None}


class _Item:
    """One item of the output, as far as it is written."""

    def __init__(self, kind: str, text: str, scores: list[dict[str, Any]]) -> None:
        self.is_thought = kind == "reasoning"
        self.kind, self.text, self.scores = kind, text, scores
        self.id = new_id("rs_" if self.is_thought else "msg_")

    @classmethod
    def thoughts(cls, text: str = "") -> _Item:
        return cls("reasoning", text, [])

    @classmethod
    def message(cls, text: str = "", scores: list[dict[str, Any]] | None = None) -> _Item:
        return cls("message", text, scores or [])

    def part(self, *, is_empty: bool = False) -> dict[str, Any]:
        text = "" if is_empty else self.text
        if self.is_thought:
            return {"type": "reasoning_text", "text": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": [] if is_empty else self.scores}

    def shown(self, status: str, *, is_empty: bool = False) -> dict[str, Any]:
        content = [] if is_empty else [self.part()]
        if self.is_thought:
            return {"id": self.id, "type": "reasoning", "summary": [], "content": content, "status": status}
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": content}


def _format(request: ResponsesRequest) -> dict[str, Any]:
    given = request.text.format if request.text else None
    return given.model_dump(by_alias=True, exclude_none=True) if given else {"type": "text"}


def _usage(choice: Collected) -> dict[str, Any]:
    usage = usage_of(usages([choice]))
    return {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"], "total_tokens": usage["total_tokens"],
            "input_tokens_details": {"cached_tokens": usage["prompt_tokens_details"]["cached_tokens"], "cache_write_tokens": 0},
            "output_tokens_details": usage["completion_tokens_details"],
            "dropped_messages": usage["dropped_messages"], "dropped_tokens": usage["dropped_tokens"]}
