"""Undocumented parts of Gradio's events, requests and queue that the page uses, each with the reason."""

from __future__ import annotations

import logging
import sys
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from engine.plain_text import valid_text

from ..shared.errors import PageError, sentence
from ..shared.language import language_of, text

log = logging.getLogger(__name__)
QUEUE_S = 0.02          # the longest time until a waiting event starts
PROGRESS_S = 1.0        # nothing here reports progress through Gradio


def event_data(event: gr.EventData) -> dict[str, Any]:
    """What JavaScript passed to `trigger(name, data)`.

    Gradio offers the data as attributes, and a missing one raises. A browser may have sent anything, so here it is a dictionary.
    """
    data = event._data
    return data if isinstance(data, dict) else {}


class StrictBlocks(gr.Blocks):  # type: ignore[misc]
    """A page that answers every failed request with a sentence.

    If a component cannot read a value, or a handler raises, Gradio answers with `{"error": null}`, or, with `show_error`, with the
    text of the exception, which can contain paths.
    """

    def validate_inputs(self, block_fn: Any, inputs: Any) -> None:
        """Values at the end that may be null can be left out, as programs send values by their position."""
        wanted = block_fn.inputs
        needed = max((number for number, block in enumerate(wanted, 1) if not _may_be_null(block)), default=0)
        if not isinstance(inputs, list) or len(inputs) < needed:
            raise PageError("error.values", needed=needed, given=len(inputs) if isinstance(inputs, list) else 0)
        inputs += [None] * (len(wanted) - len(inputs))

    async def preprocess_data(self, *arguments: Any, **named: Any) -> Any:
        try:
            values = await super().preprocess_data(*arguments, **named)
        except gr.Error as error:       # a message that the component wrote itself
            raise gr.Error(error.message, print_exception=False) from error
        except PageError:
            raise
        except Exception as error:      # any exception of a component, for values that this page never sends
            raise PageError("error.unreadable") from error
        block_fn = named["block_fn"] if "block_fn" in named else arguments[0]
        return [_present(block, value) for block, value in zip(block_fn.inputs, values, strict=True)]

    async def process_api(self, *arguments: Any, **named: Any) -> Any:
        request = named.get("request")
        language = language_of(request[0] if isinstance(request, list) else request)
        try:
            if isinstance(named.get("inputs"), list):
                named["inputs"] = _answerable(named["inputs"])
            return await super().process_api(*arguments, **named)
        except (gr.Error, HTTPException):
            raise
        except PageError as error:
            raise gr.Error(sentence(error, language), title=text(language, "error.title"), print_exception=False) from error
        except Exception as error:
            log.error("unexpected error", exc_info=error)
            raise gr.Error(text(language, "error.failed"), title=text(language, "error.title"), print_exception=False) from error


def _may_be_null(block: gr.blocks.Block) -> bool:
    """Whether this is an argument of a function of gr.api whose type allows None. Gradio keeps its JSON schema in a private attribute."""
    return isinstance(block, Api) and {"type": "null"} in block._api_info.get("oneOf", ())


def _present(block: gr.blocks.Block, value: Any) -> Any:
    """A component's value for a handler. Components let null through, for which handlers would need a check each."""
    if value is None and isinstance(block, gr.Textbox):
        return ""
    if value is None and isinstance(block, gr.UploadButton):
        raise PageError("error.unreadable")
    return value


def _answerable(value: Any) -> Any:
    """Return a request's value as a response can contain it: without lone surrogates. Raises gr.Error for integers beyond 64 bits."""
    match value:
        case str():
            return valid_text(value)
        case list():
            return [_answerable(each) for each in value]
        case dict():
            return {_answerable(name): _answerable(each) for name, each in value.items()}
        case int() if not -2**63 <= value < 2**63:
            raise PageError("error.unreadable")
    return value


def put_first(app: Starlette, middleware: Middleware) -> None:
    """Let `middleware` see every request before Gradio's own middleware, which allows requests of any origin.

    While it launches, Gradio puts its own middleware before any that is given to it, and Starlette accepts none after that.
    """
    app.user_middleware.insert(0, middleware)
    app.middleware_stack = app.build_middleware_stack()


def slow_down_queue(page: gr.Blocks) -> None:
    """Make the queue look for events every 20 ms and for progress every second.

    Gradio's own intervals (1 and 10 ms, without a setting) take so much of Python's time that a model generates 10 % slower on 2 cores.
    """
    page._queue.sleep_when_free = QUEUE_S
    page._queue.progress_update_sleep_when_free = PROGRESS_S


def skip_statistics(page: gr.Blocks) -> None:
    """Keep no record of past events: Gradio keeps 10,000, and sums all of them up with pandas after every event.

    Only its monitoring page shows them, which is off.
    """
    page._queue.ANALYTICS_MAX_EVENTS = 1
    page._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
