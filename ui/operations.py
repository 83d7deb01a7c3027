"""What programs can call: `chat`, and with MINDCUBES_MCP=1 two more. All of them only read, and with MCP each is a tool.

Their first sentences and arguments are what a program sees of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import gradio as gr

from engine import Benchmarks, Engine, Finished, GenerationOptions, Message, TextDelta, estimate_fit
from engine.benchmark import ResultFilter
from engine.errors import InvalidRequest, MissingLibrary
from engine.messages import Effort

from .shared.errors import shown
from .shared.pace import Pace
from .shared.visitor import caller_of

MAX_SUMMARY = 20        # runs


def add_operations(engine: Engine, benchmarks: Benchmarks, concurrency: int) -> None:
    """Add the operations to the page that is being built. `concurrency`: how many calls of `chat` run at the same time."""
    gr.api(_chat(engine), api_name="chat", concurrency_limit=concurrency, concurrency_id="replies")
    if engine.settings.has_mcp:
        gr.api(_model_fit(engine), api_name="model_fit")
        gr.api(_benchmark_summary(benchmarks), api_name="benchmark_summary")


def require_mcp() -> None:
    """Raises MissingLibrary if the server for MCP cannot start.

    Gradio's extra [mcp] asks for an older pydantic than the rest of the app; its package alone works with the installed one.
    """
    if find_spec("mcp") is None:
        raise MissingLibrary("the package mcp", 'pip install "mcp>=1.27,<2"')


def _chat(engine: Engine) -> Any:
    @shown
    def chat(message: str, request: gr.Request, system_prompt: str = "", temperature: float = 0.7,
             max_new_tokens: int = 256, reasoning_effort: Effort | None = None, reasoning_budget: int | None = None) -> Iterator[str]:
        """Answer one message with the loaded model. Streams the answer as it grows: every result is the whole text so far.

        Args:
            message: what to ask
            system_prompt: how to answer
            temperature: 0 for the likeliest answer, up to 5
            max_new_tokens: the longest answer in tokens, with its thoughts
            reasoning_effort: how much the model thinks first, from none to xhigh; left out, as its author recommends
            reasoning_budget: the most tokens of thoughts, after which it answers; left out, no limit
        """
        if not isinstance(system_prompt, str):
            raise InvalidRequest("system_prompt", system_prompt, "text")
        options = GenerationOptions(temperature=temperature, max_new_tokens=max_new_tokens, reasoning_effort=reasoning_effort,
                                    reasoning_budget=reasoning_budget)
        system = [Message("system", system_prompt)] if system_prompt.strip() else []
        answer, pace = "", Pace()
        yield answer        # before anything slow, so that Gradio notices a client that disconnects
        with closing(engine.chat([*system, Message("user", message)], options, visitor=caller_of(request))) as events:
            for event in events:
                answer += event.text if isinstance(event, TextDelta) else ""
                if pace.is_due() and not isinstance(event, Finished):
                    pace.began()
                    yield answer
                    pace.ended(len(answer))
        yield answer

    return chat


def _model_fit(engine: Engine) -> Any:
    @shown
    def model_fit(model: str, context_tokens: int = 4096, visitors: int = 1) -> dict[str, Any]:
        """Estimate whether a language model fits into the memory of this machine, before it is downloaded.

        Args:
            model: owner/name on the Hugging Face Hub, or "builtin"
            context_tokens: the length of one chat
            visitors: how many chats of that length at once
        """
        for name, value in (("context_tokens", context_tokens), ("visitors", visitors)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**6:
                raise InvalidRequest(name, value, "a whole number from 1 to 1,000,000")
        if not isinstance(model, str) or len(model) > 200:
            raise InvalidRequest("model", str(model)[:50], "a name of at most 200 characters")
        fit = estimate_fit(model, context_tokens=context_tokens, visitors=visitors, settings=engine.settings, hardware=engine.hardware)
        return {"model": fit.model, "hardware": fit.hardware_name, "free_bytes": fit.free_bytes, "parameters": fit.shape.parameters,
                "quantizations": {choice.quantization.value: {
                    "is_supported": choice.is_supported, "verdict": choice.fit.verdict.value, "needed_bytes": choice.fit.needed_bytes,
                    "longest_context_tokens": choice.largest_context, "estimated_tokens_per_second": round(choice.tokens_per_second, 1)}
                    for choice in fit.choices}}

    return model_fit


def _benchmark_summary(benchmarks: Benchmarks) -> Any:
    @shown
    def benchmark_summary(model: str = "") -> str:
        """Show the latest measurements of speed and quality that were made here, as a table in Markdown.

        Args:
            model: part of a model's name; empty for all models
        """
        if not isinstance(model, str):
            raise InvalidRequest("model", model, "text")
        runs = benchmarks.history.list(ResultFilter(text=model[:200]), MAX_SUMMARY)
        if not runs:
            return "Nothing has been measured here yet."
        return benchmarks.history.export([run.uid for run in runs], "markdown")

    return benchmark_summary
