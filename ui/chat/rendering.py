"""Renders a conversation as the value of Gradio's Chatbot.

Updating the page during a reply must be cheap. Gradio sends only the text that was appended since the last update; therefore
nothing but that text changes between two updates. Updates are limited in number (shared/pace.py), and a long chat shows only its
latest messages until the visitor asks for older ones.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from engine import Prefill, Waiting
from engine.chat import ChatMessage, ReplyProgress, Searching, reply_messages

from ..shared.errors import told_again
from ..shared.language import duration, number, text
from .files import linked, sources_html
from .pictures import small
from .session import ChatSession
from .steps import step_html, tool_title

SHOWN_MESSAGES = 30         # of a long chat, until the visitor asks for older ones
MORE_MESSAGES = 100


def messages(session: ChatSession, language: str) -> list[dict[str, Any]]:
    """The value of the Chatbot."""
    path = session.path
    if session.pair and len(session.pair) > 1 and path and path[-1].id in session.pair:
        path = path[:-1]        # shown side by side below
    first = max(0, len(path) - SHOWN_MESSAGES - session.num_older)
    dropped = _dropped(path)
    replies = {reply.message.id: reply for reply in session.replies}
    shown: list[dict[str, Any]] = []
    for index in range(first, len(path)):
        message, is_last = path[index], index == len(path) - 1
        before = [_html(_more(first, language))] if index == first and first else []
        if dropped and index == dropped[0]:
            before.append(_html(_marker(dropped, language)))
        if message.role == "user":
            shown.append({"role": "user", "content": [*before, *_message(message, language, is_frozen=session.share is not None)]})
        else:
            shown += _reply(message, replies.get(message.id), language, is_last=is_last, is_frozen=session.share is not None)
    return shown


def single(reply: ReplyProgress, language: str) -> list[dict[str, Any]]:
    """The value of one of the two Chatbots that show answers side by side."""
    act = _act("keep", reply.message.id, text(language, "compare.keep"))
    keep = f'<div class="mc-foot"><span class="mc-acts">{act}</span></div>' if reply.is_over else ""
    options = reply.message.options
    label = text(language, "compare.label", temperature=number(language, options.temperature if options else 0, 2),
                 system=reply.message.system_prompt[:60] or "–")
    if options and options.adapter is not None:
        label = f"{reply.message.model} · {label}"
    shown = _reply(reply.message, reply, language, is_last=False, is_frozen=True)
    shown[0]["content"].insert(0, _html(f'<div class="mc-note">{html.escape(label)}</div>'))
    shown[-1]["content"].append(_html(keep))
    return shown


def _message(message: ChatMessage, language: str, is_frozen: bool) -> list[dict[str, Any]]:
    files = "".join(f"<span>{html.escape(each.name)} · {text(language, 'usage.tokens', count=number(language, each.tokens))}</span>"
                    for each in message.attachments if not each.picture)
    pictures = [each for each in message.attachments if each.picture]
    shown = "".join(small(each, "see-picture", message.id, language, index) for index, each in enumerate(pictures))
    content = [_html(f'<div class="mc-files">{shown}{files}</div>')] if message.attachments else []
    if message.text:
        content.append(_text(message.text))
    if not is_frozen:
        acts = (_versions(message, language) + _act("edit", message.id, text(language, "chat.edit"))
                + _act("delete-message", message.id, text(language, "chat.delete")))
        content.append(_html(f'<div class="mc-foot mc-quiet"><span class="mc-acts">{acts}</span></div>'))
    return content


def _reply(message: ChatMessage, reply: ReplyProgress | None, language: str, is_last: bool, is_frozen: bool) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    is_thinking = reply is not None and reply.is_thinking
    if message.thoughts:
        title = text(language, "chat.thinking") if is_thinking else _thoughts(message, language)
        metadata = {"title": title, "status": "pending" if is_thinking else "done"}
        shown.append({"role": "assistant", "content": [_text(message.thoughts)], "metadata": metadata})
    answer = _answer(message, language, is_frozen=is_frozen)
    footer = _footer(message, reply, language, is_last, is_frozen)
    shown.append({"role": "assistant", "content": [*answer, _html(footer)]})
    return shown


def _answer(message: ChatMessage, language: str, is_frozen: bool) -> list[dict[str, Any]]:
    """The text of a reply, with the calls of tools in their places.

    Links only at the end: until then, text is appended to what the page has.
    """
    content: list[dict[str, Any]] = []
    is_writing, begin = message.state == "writing", 0

    def add_text(end: int | None) -> None:
        part = message.text[begin:end]
        if not part:
            return
        if not is_writing:
            part = linked(replace(message, text=part)) if message.model else told_again(part, language)
        content.append(_text(part))

    for at, steps in groupby(message.steps, lambda step: step.at):
        add_text(at)
        begin = max(begin, at)
        content.append(_html("".join(step_html(step, message.id, language, is_live=is_writing and not is_frozen) for step in steps)))
    add_text(None)
    return content


def _thoughts(message: ChatMessage, language: str) -> str:
    """The line that opens the thoughts: how long they took. The number of tokens is known when the reply has ended."""
    if not message.thought_s:
        return text(language, "chat.thoughts")
    seconds = number(language, message.thought_s, 0 if message.thought_s >= 10 else 1)
    title = text(language, "chat.thought_for", seconds=seconds)
    if not message.thought_tokens:
        return title
    return f"{title} · {text(language, 'usage.tokens', count=number(language, message.thought_tokens))}"


def _text(content: str) -> dict[str, str]:
    return {"type": "text", "text": content}


def _html(content: str) -> dict[str, Any]:
    """A gr.HTML component inside a message, as Gradio serializes it."""
    return {"type": "component", "component": "html", "value": content, "constructor_args": {},
            "props": {"html_template": "${value}", "css_template": "", "js_on_load": "", "apply_default_css": False,
                      "show_label": False, "visible": True}}


def _act(action: str, target: int | str, label: str, extra: str = "") -> str:
    """A button. page.js sends its clicks to the server as events."""
    return f'<button type="button" data-act="{action}" data-id="{target}" {extra}>{html.escape(label)}</button>'


def _footer(message: ChatMessage, reply: ReplyProgress | None, language: str, is_last: bool, is_frozen: bool) -> str:
    """The lines under a reply: its numbers and buttons, or, while it is generated, what happens now."""
    if message.state == "writing":
        return f'<div class="mc-foot" role="status">{html.escape(_progress(message, reply, language))}</div>'
    known = _facts(message, language)
    if is_frozen and message.options:       # a shared chat is shown without the options panel
        known.append(f"{text(language, 'options.temperature')} {number(language, message.options.temperature, 2)}")
    facts = "".join(f"<span>{html.escape(fact)}</span>" for fact in known)
    acts = []
    if message.text:
        copy = html.escape(text(language, "chat.copy"))
        acts.append(f'<button type="button" class="mc-copy" data-text="{html.escape(message.text)}">{copy}</button>')
    if not is_frozen:
        is_cut = message.state in ("stopped", "interrupted", "failed") or message.reason == "length"
        if is_last and is_cut and (message.text or message.thoughts or message.steps):
            acts.append(_act("continue", message.id, text(language, "chat.continue")))
        acts.append(_act("regenerate", message.id, text(language, "chat.regenerate")))
        acts.append(_act("branch", message.id, text(language, "chat.branch")))
        acts.append(_act("delete-message", message.id, text(language, "chat.delete")))
    versions = "" if is_frozen else _versions(message, language)
    lines = [sources_html(message, language)]
    lines += [f'<div class="mc-foot"><span class="mc-facts">{facts}</span><span class="mc-acts">{versions}{"".join(acts)}</span></div>']
    if message.state == "failed":
        alert = 'role="alert"' if is_last else ""
        lines.insert(0, f'<div class="mc-problem" {alert}>{html.escape(told_again(message.error, language))}</div>')
    elif not message.text and not message.steps and message.state == "done":
        lines.insert(0, f'<div class="mc-note">{text(language, "chat.empty_answer")}</div>')
    lines += [f'<div class="mc-note">{html.escape(told_again(note, language))}</div>' for note in message.notes]
    return "".join(lines)


def _versions(message: ChatMessage, language: str) -> str:
    """The buttons that switch between versions: ‹ 2 / 3 ›"""
    if len(message.versions) < 2:
        return ""
    at = message.versions.index(message.id) if message.id in message.versions else 0
    sides = []
    for step, name, arrow in ((-1, "chat.previous_version", "‹"), (1, "chat.next_version", "›")):
        label, other = html.escape(text(language, name)), at + step
        if 0 <= other < len(message.versions):
            sides.append(_act("version", message.versions[other], arrow, f'aria-label="{label}" title="{label}"'))
        else:
            sides.append(f'<button type="button" disabled aria-label="{label}">{arrow}</button>')
    place = text(language, "chat.version", at=number(language, at + 1), count=number(language, len(message.versions)))
    return f'<span class="mc-versions">{sides[0]}<span>{place}</span>{sides[1]}</span>'


def _progress(message: ChatMessage, reply: ReplyProgress | None, language: str) -> str:
    if reply and reply.asks:
        return text(language, "tools.waiting", name=tool_title(reply.asks, language))
    if running := next((step for step in message.steps if step.state == "running"), None):
        return text(language, "tools.running", name=tool_title(running, language))
    if reply and reply.calling:
        return text(language, "tools.calling", name=reply.calling)
    if message.thoughts or message.text:
        return text(language, "chat.thinking" if reply and reply.is_thinking else "chat.writing")
    match reply.waiting if reply else None:
        case Waiting(position=position, expected_s=expected_s) if position > 0:
            wait = text(language, "chat.waiting", count=number(language, position))
            return wait if expected_s is None else text(language, "chat.waiting.expected", wait=wait, time=duration(language, expected_s))
        case Prefill(done=done, total=total) if 0 < done < total:
            return text(language, "chat.reading", done=number(language, done), total=number(language, total))
        case Searching():
            return text(language, "chat.searching")
    return text(language, "chat.writing" if message.model else "chat.loading")


def _facts(message: ChatMessage, language: str) -> list[str]:
    """The numbers of an ended reply, each with its unit."""
    usage = message.usage
    facts = [message.model] if message.model else []
    if usage is not None and (usage.new_tokens or message.state == "done"):
        facts += [text(language, "usage.tokens", count=number(language, usage.new_tokens)),
                  text(language, "usage.first", seconds=number(language, usage.ttft_s, 2))]
        if usage.tokens_per_second:
            decimals = 0 if usage.tokens_per_second >= 10 else 1
            facts.append(text(language, "usage.rate", rate=number(language, usage.tokens_per_second, decimals)))
        facts.append(text(language, "usage.cached", count=number(language, usage.cached_tokens)))
    if message.state in ("stopped", "interrupted"):
        facts.append(text(language, f"usage.{message.state}"))
    elif message.reason == "length":
        facts.append(text(language, "usage.length"))
    return facts


def _dropped(path: Sequence[ChatMessage]) -> tuple[int, int, int] | None:
    """Which messages no longer fit into the context window: (index of the first that does, number left out, their tokens)."""
    usage = next((message.usage for message in reversed(path) if message.usage), None)
    if usage is None or not usage.dropped_messages:
        return None
    read = [i for i, message in enumerate(path) for _ in range(_num_read(message, path[i + 1] if i + 1 < len(path) else None))]
    last_question = max((i for i, message in enumerate(path) if message.role == "user"), default=0)
    at = read[usage.dropped_messages] if usage.dropped_messages < len(read) else last_question
    return at, usage.dropped_messages, usage.dropped_tokens


def _num_read(message: ChatMessage, following: ChatMessage | None) -> int:
    """As how many messages the model reads one of a chat."""
    if message.role == "user":
        return int(following is not None and bool(following.text or following.steps))
    return len(reply_messages(message)) if message.text or message.steps else 0


def _marker(dropped: tuple[int, int, int], language: str) -> str:
    line = text(language, "usage.dropped", count=number(language, dropped[1]), tokens=number(language, dropped[2]))
    return f'<div class="mc-dropped"><span>{html.escape(line)}</span></div>'


def _more(hidden: int, language: str) -> str:
    return f'<div class="mc-more">{_act("older", 0, text(language, "chat.older", count=number(language, hidden)))}</div>'


def gauge(session: ChatSession, window_tokens: int, language: str) -> str:
    """The context gauge: how much of the context window the last exchange took, and how much is left for the next message."""
    if not window_tokens:
        return ""
    usage = next((message.usage for message in reversed(session.path) if message.usage), None)
    used = min(window_tokens, usage.prompt_tokens + usage.new_tokens) if usage else 0
    share = min(100, round(100 * used / window_tokens))
    numbers = {"used": number(language, used), "window": number(language, window_tokens), "left": number(language, window_tokens - used)}
    name = html.escape(text(language, "usage.context.name", **numbers))
    see = html.escape(text(language, "chat.see_prompt"))
    return (f'<button type="button" class="mc-gauge" data-act="prompt" data-id="0" title="{name} {see}">'
            f'<span>{text(language, "usage.context")}</span>'
            f'<span class="mc-meter"><i style="width:{share}%"></i></span>'
            f'<span>{numbers["used"]} / {numbers["window"]}</span></button>')
