"""From a conversation to what the chat shows, and how often. Finished turns are rendered once and reused.

An answer costs its page as little as possible: Gradio sends only what was appended, so all that is needed is to call
it rarely (Pace) and to keep everything but the growing text unchanged between two updates.
"""

from __future__ import annotations

import html
import time
from typing import Any

from engine import Prefill, Usage, Waiting

from .conversation import Conversation, Turn
from .language import number, text

UPDATE_S = 0.05             # the shortest time between two updates of a page
LONG_UPDATE_S = 0.25        # the longest, for answers that take the browser a while to lay out
CHARS_PER_S = 50_000        # how fast a page lays out an answer, on a small machine
SERVER_SHARE = 4            # an update that took the server x seconds is followed by 4x without one


class Pace:
    """Says when the next update is due. `began` and `ended` bracket the update itself."""

    def __init__(self) -> None:
        self._due = 0.0
        self._began = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def began(self) -> None:
        self._began = time.monotonic()

    def ended(self, num_chars: int) -> None:
        now = time.monotonic()
        pause = max(UPDATE_S, min(LONG_UPDATE_S, max(num_chars / CHARS_PER_S, SERVER_SHARE * (now - self._began))))
        self._due = max(self._began + pause, now)


def messages(conversation: Conversation, language: str) -> list[dict[str, Any]]:
    """The value of the Chatbot."""
    last = conversation.turns[-1] if conversation.turns else None
    return [message for turn in conversation.turns for message in _turn(turn, language, is_last=turn is last)]


def _turn(turn: Turn, language: str, is_last: bool) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = [{"role": "user", "content": [_text(turn.question)]}]
    if turn.thoughts:
        title = text(language, "chat.thinking" if turn.is_thinking else "chat.thoughts")
        status = "pending" if turn.is_thinking else "done"
        shown.append({"role": "assistant", "content": [_text(turn.thoughts)], "metadata": {"title": title, "status": status}})
    answer = [_text(turn.answer)] if turn.answer else []
    shown.append({"role": "assistant", "content": [*answer, _html(_footer(turn, language, is_last))]})
    return shown


def _text(content: str) -> dict[str, str]:
    return {"type": "text", "text": content}


def _html(content: str) -> dict[str, Any]:
    """A gr.HTML inside a message, in the form in which Gradio sends it."""
    return {"type": "component", "component": "html", "value": content, "constructor_args": {},
            "props": {"html_template": "${value}", "css_template": "", "js_on_load": "", "apply_default_css": False,
                      "show_label": False, "visible": True}}


def _footer(turn: Turn, language: str, is_last: bool) -> str:
    """The lines under an answer: what it cost and its buttons, or what it is waiting for."""
    if not turn.is_over:
        return f'<div class="mc-foot" role="status">{html.escape(_progress(turn, language))}</div>'
    usage = turn.finished.usage if turn.finished else None
    facts = "".join(f"<span>{html.escape(fact)}</span>" for fact in _facts(turn, usage, language))
    copy = _button("mc-copy", text(language, "chat.copy"), f'data-text="{html.escape(turn.answer)}"') if turn.answer else ""
    again = _button("mc-again", text(language, "chat.regenerate")) if is_last else ""
    lines = [f'<div class="mc-foot"><span class="mc-facts">{facts}</span><span class="mc-acts">{copy}{again}</span></div>']
    if not turn.answer and not turn.is_stopped:
        lines.insert(0, f'<div class="mc-note">{text(language, "chat.empty_answer")}</div>')
    lines += [f'<div class="mc-note">{html.escape(note)}</div>' for note in (turn.finished.notes if turn.finished else ())]
    if usage and usage.dropped_messages:
        dropped = text(language, "usage.dropped", count=number(language, usage.dropped_messages),
                       tokens=number(language, usage.dropped_tokens))
        lines.append(f'<div class="mc-dropped"><span>{html.escape(dropped)}</span></div>')
    return "".join(lines)


def _button(action: str, label: str, extra: str = "") -> str:
    return f'<button type="button" class="{action}" {extra}>{html.escape(label)}</button>'


def _progress(turn: Turn, language: str) -> str:
    if turn.thoughts or turn.answer:
        return text(language, "chat.thinking" if turn.is_thinking else "chat.writing")
    if turn.is_loading:
        return text(language, "chat.loading")
    match turn.progress:
        case Waiting(position=position) if position > 0:
            return text(language, "chat.waiting", count=number(language, position))
        case Prefill(done=done, total=total) if 0 < done < total:
            return text(language, "chat.reading", done=number(language, done), total=number(language, total))
    return text(language, "chat.writing")


def _facts(turn: Turn, usage: Usage | None, language: str) -> list[str]:
    """What is known about a finished or stopped answer, each with its unit."""
    if usage is None:
        counted = [text(language, "usage.about_tokens", count=number(language, turn.counted_tokens))] if turn.answer else []
        first = [text(language, "usage.first", seconds=number(language, turn.first_s, 2))] if turn.first_s else []
        return [text(language, "usage.stopped"), *counted, *first]
    facts = [text(language, "usage.tokens", count=number(language, usage.new_tokens)),
             text(language, "usage.first", seconds=number(language, usage.ttft_s, 2))]
    if usage.tokens_per_second:
        decimals = 0 if usage.tokens_per_second >= 10 else 1
        facts.append(text(language, "usage.rate", rate=number(language, usage.tokens_per_second, decimals)))
    facts.append(text(language, "usage.cached", count=number(language, usage.cached_tokens)))
    if turn.finished and turn.finished.reason != "stop":
        facts.append(text(language, f"usage.{turn.finished.reason}"))
    return facts


def gauge(conversation: Conversation, window_tokens: int, language: str) -> str:
    """The context line: how much of the window the last finished exchange took."""
    usage = next((turn.finished.usage for turn in reversed(conversation.turns) if turn.finished), None)
    used = usage.prompt_tokens + usage.new_tokens if usage else 0
    if not window_tokens:
        return ""
    share = min(100, round(100 * used / window_tokens))
    numbers = {"used": number(language, used), "window": number(language, window_tokens)}
    name = html.escape(text(language, "usage.context.name", **numbers))
    return (f'<div class="mc-gauge" title="{name}"><span>{text(language, "usage.context")}</span>'
            f'<span class="mc-meter" role="meter" aria-label="{name}" aria-valuemin="0" aria-valuemax="{window_tokens}" '
            f'aria-valuenow="{used}"><i style="width:{share}%"></i></span>'
            f'<span>{numbers["used"]} / {numbers["window"]}</span></div>')
