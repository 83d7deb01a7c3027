"""Prompts of the agent: one message with everything that the model needs, cut to its context window, with every cut marked.

A repair is one self-contained message (task, last program, output, error) instead of the end of a growing conversation, so
nothing is lost when a small window drops older turns. The built-in model was trained on this wording: of 64 broken programs
it repairs 56, but 50 with one more sentence at the end, and 48 with Python's "Did you mean" after the error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..messages import Message
from .events import Attempt, block, joined
from .window import Window

PROMPTS = Path(__file__).parent / "prompts"
STDOUT_CHARS, ERROR_CHARS, TASK_CHARS = 1_200, 1_500, 4_000     # at share 1
MAX_FRAMES = 4
FRAME = re.compile(r'^\s*File ".*", line \d+, in ')
CARETS = re.compile(r"^\s*[~^]+\s*$")
LINE_NUMBER = re.compile(r"\bline \d+")
SUGGESTION = re.compile(r"\. Did you mean: .*\?$")
PromptText = Callable[[float], str]
"""The text of the last message, given a share from 0 to 1: its long parts are cut to that share of their usual length."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A finished task as it appears in the prompt of a follow-up: the model's prose, its last program and the result."""

    task: str
    prose: str
    attempt: Attempt | None = None

    @property
    def reply(self) -> str:
        """The assistant's message, with the result next to the program it belongs to.

        Of 64 follow-ups the built-in model answers 63 this way, 55 with the result before the next task (which it then
        reads as part of the task) and 35 with it after the task.
        """
        attempt = self.attempt
        if attempt is None:
            return self.prose
        printed = block(head_and_tail(attempt.stdout, STDOUT_CHARS // 2))
        failed = block(compact_error(attempt.error, ERROR_CHARS // 2))
        return joined(self.prose, block(attempt.code, "python"), f"It printed:\n{printed}" if printed else "",
                      f"It failed:\n{failed}" if failed else "")


@cache
def prompt(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text("utf-8").strip()


def task_text(task: str, previews: Sequence[tuple[str, str]] = ()) -> PromptText:
    """The task and the files in the work folder, as (name, first lines)."""
    def ask(share: float) -> str:
        shown = [f"- {name}" + (f", which begins:\n{block(head_and_tail(begin, int(400 * share)))}" if begin and share > 0.2 else "")
                 for name, begin in previews]
        return joined(task, "Files in the current folder:\n" + "\n".join(shown) if shown else "")
    return ask


def repair_text(task: PromptText, attempt: Attempt) -> PromptText:
    def ask(share: float) -> str:
        return prompt("repair").format(
            task=_cut_task(task, share), program=block(attempt.code, "python"), printed=_printed(attempt, share),
            error=block(compact_error(attempt.error, max(120, int(ERROR_CHARS * share)))))
    return ask


def answer_text(task: PromptText, attempt: Attempt) -> PromptText:
    """Asks for an explanation after the clean run of a program that came without one."""
    def ask(share: float) -> str:
        return prompt("answer").format(
            task=_cut_task(task, share), program=block(attempt.code, "python"), printed=_printed(attempt, share))
    return ask


def _cut_task(task: PromptText, share: float) -> str:
    text = task(share)
    return text if share == 1 else head_and_tail(text, int(TASK_CHARS * share))


def _printed(attempt: Attempt, share: float) -> str:
    shown = block(head_and_tail(attempt.stdout, int(STDOUT_CHARS * share)))
    return f"It printed:\n{shown}\n\n" if shown else ""


def head_and_tail(text: str, limit: int) -> str:
    """The beginning and end of a text, with a note where it was cut. `limit` in characters, without the note."""
    text = text.strip("\n")
    if len(text) <= limit:
        return text
    half = max(1, limit // 2)
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters left out ...\n{text[-half:]}"


def compact_error(error: str, limit: int = ERROR_CHARS) -> str:
    """A traceback of the program's own frames without caret lines and suggestions: at most MAX_FRAMES frames and `limit` characters."""
    lines = [line.rstrip() for line in error.splitlines() if line.strip() and not CARETS.match(line)]
    frames = [at for at, line in enumerate(lines) if FRAME.match(line)]
    if not frames:
        lines = [line for line in lines if not line.startswith("Traceback (most recent")]
    if len(frames) > MAX_FRAMES:
        first, kept = frames[0], frames[-MAX_FRAMES]
        lines[first:kept] = [f"  ... {len(frames) - MAX_FRAMES} frames left out ..."]
    if lines:
        lines[-1] = SUGGESTION.sub("", lines[-1])
    return head_and_tail("\n".join(lines), limit)


def error_key(error: str) -> tuple[str, ...]:
    """A key that is equal for the same error in the same source line, whatever its number. For a stop by the sandbox: its first line."""
    lines = compact_error(error).splitlines()
    is_traceback = bool(lines) and lines[0].startswith(("Traceback", "  "))
    return tuple(LINE_NUMBER.sub("line", line).strip() for line in (lines[-2:] if is_traceback else lines[:1]))


def fitted(ask: PromptText, history: Sequence[Exchange], window: Window, reply_tokens: int, *,
           calls_tools: bool = False) -> tuple[Message, ...]:
    """Return a conversation that leaves `reply_tokens` of the window free, or the smallest possible one.

    `calls_tools`: the model passes its program to a tool.

    Dropped in this order: older tasks, most of output and error, the long system prompt, nearly all of output and error.
    """
    messages: tuple[Message, ...] = ()
    for system, kept, share in _plans(len(history)):
        past = history[len(history) - kept:]
        messages = (Message("system", prompt(f"{system}_call" if calls_tools else system)), *_conversation(past, ask(share)))
        if window.size(messages) + reply_tokens <= window.tokens:
            break
    return messages


def _plans(num_past: int) -> Iterator[tuple[str, int, float]]:
    for kept in range(num_past, -1, -1):
        yield "system", kept, 1.0
    for system, share in (("system", 0.4), ("short", 1.0), ("short", 0.4), ("short", 0.1)):
        yield system, 0, share


def _conversation(past: Sequence[Exchange], last: str) -> Iterator[Message]:
    for exchange in past:
        yield Message("user", exchange.task)
        yield Message("assistant", exchange.reply)
    yield Message("user", last)
