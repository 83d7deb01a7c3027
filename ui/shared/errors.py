"""Turns errors into sentences in the visitor's language. No other module of the page turns an exception into text."""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

from engine import EngineError
from engine.errors import MessageTooLong
from engine.finetune import TableRefused
from engine.messages import EFFORTS

from .language import gib, has_text, number, text

log = logging.getLogger(__name__)
# Sentences of the engine that are saved in English with a reply: errors that visitors of ZeroGPU meet, and notes. The English texts of the
# page are the engine's, with its values as {name}.
SAVED = ("error.GpuQuotaUsed", "error.GpuQuotaUsedUntil", "error.GpuNotFree", "error.GpuRefused", "note.no_template", "note.merged",
         "note.pictures", "note.never_thinks", "note.always_thinks", "note.nearest_effort", "note.no_budget", "note.left_out",
         "note.uncounted", "note.cut_shape", "note.no_json",
         "note.tool_rounds", "note.not_approved", "note.cut_call", "note.no_server",
         "note.tools_left_out", "note.tool_schema", "note.nothing_found")
EFFORTS_IN_TEXT = ("asked", "used")     # names of values that are efforts of thought
Handler = TypeVar("Handler", bound=Callable[..., Any])


class PageError(Exception):
    """A request that the page itself refuses. `key` is the key of a sentence, and `values` are filled into it."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.values = values


def sentence(error: Exception, language: str) -> str:
    """Return the text for the visitor. An unexpected error is logged, and its text is a general sentence."""
    if isinstance(error, PageError):
        return text(language, str(error), **error.values)
    if not isinstance(error, EngineError):
        log.error("unexpected error", exc_info=error)
        return text(language, "error.unexpected")
    key = f"error.{type(error).__name__}"
    if language == "en" or not has_text(key):
        return str(error)
    if isinstance(error, TableRefused):
        return text(language, key, name=error.name, place=_place(error, language), why=text(language, f"{key}.{error.kind}"))
    return text(language, key, **{name: _fact(error, name, value, language) for name, value in vars(error).items()})


def _place(error: TableRefused, language: str) -> str:
    """The row and the column of a table, before the reason; "" for the whole file."""
    row, column = number(language, error.row), error.column
    if not (error.row or column):
        return ""
    place = text(language, "tune.place", row=row, column=column) if error.row and column else \
        text(language, "tune.place.row", row=row) if error.row else text(language, "tune.place.column", column=column)
    return text(language, "error.TableRefused.place", place=place)


def told_again(saved: str, language: str) -> str:
    """Return an error or a note that was saved in English with a reply, in `language` if it is one of SAVED."""
    for key in SAVED if language != "en" else ():
        if found := re.fullmatch(_pattern(key), saved, re.DOTALL):
            return text(language, key, **{name: text(language, f"thinking.{value}") if name in EFFORTS_IN_TEXT else value
                                          for name, value in found.groupdict().items()})
    return saved


@functools.cache
def _pattern(key: str) -> str:
    """Return a regular expression for the English text of `key`, whose groups are its values."""
    effort = "|".join(EFFORTS)
    return re.sub(r"\\{(\w+)\\}", lambda name: f"(?P<{name[1]}>{effort if name[1] in EFFORTS_IN_TEXT else '.+'})",
                  re.escape(text("en", key)))


def _fact(error: EngineError, name: str, value: object, language: str) -> object:
    """Return an error's value as the language writes it. Its unit is the ending of its name."""
    if name.endswith("_bytes") and isinstance(value, int):
        return gib(language, value)
    is_count = isinstance(error, MessageTooLong) or name.endswith("_s")
    return number(language, value) if is_count and isinstance(value, (int, float)) else value


def shown(handler: Handler) -> Handler:
    """Decorator for handlers that do not show errors themselves: raises gr.Error with the sentence of an EngineError."""
    if inspect.isgeneratorfunction(handler):
        @functools.wraps(handler)
        def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from handler(*args, **kwargs)
            except EngineError as error:
                raise gr.Error(str(error), print_exception=False) from error
        return stream  # type: ignore[return-value]

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except EngineError as error:
            raise gr.Error(str(error), print_exception=False) from error
    return call  # type: ignore[return-value]
