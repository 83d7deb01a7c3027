"""The calls of tools in a reply: each one folded, with its arguments and its result, and the buttons of one that waits for approval."""

from __future__ import annotations

import html
import json
import unicodedata
from typing import Any

from engine.chat import ToolStep

from ..shared.language import has_text, number, text

SHOWN_CHARS = 20_000        # of a result, and of the arguments of a call that was decided; more of it would make the page slow
PREFIX = "mcp:"             # of the groups of servers
INVISIBLE = ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")      # categories of characters that could hide what a person approves
# Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt) outside these categories, and the empty pattern of Braille.
IGNORED = frozenset((0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, *range(0xFE00, 0xFE10), 0xFFA0,
                     *range(0xE0100, 0xE01F0)))
LOUD = ("waiting", "failed", "expired")


def step_html(step: ToolStep, message_id: int, language: str, *, is_live: bool) -> str:
    """`is_live`: its reply is in progress, so that a call can be approved."""
    step = step if is_live else step.ended()        # one that was waiting when the process ended has no answer any more

    def say(key: str, **values: object) -> str:
        return html.escape(text(language, key, **values))

    name = html.escape(tool_title(step, language))
    state = say(f"tools.state.{step.state}")
    seconds = f" · {number(language, step.seconds, 0 if step.seconds >= 10 else 1)} s" if step.seconds >= 0.05 else ""
    kind = "is-loud" if step.state in LOUD else ""
    is_asking = step.state == "waiting"
    arguments = _code(step) or _arguments(step)     # whole while a person decides about them
    parts = [_part(say("tools.code" if _code(step) else "tools.arguments"), arguments if is_asking else _beginning(arguments))]
    if step.result:
        parts.append(_part(say("tools.result"), _beginning(step.result)))
    elif step.state == "done":
        parts.append(f'<p>{say("tools.result.left_out")}</p>')
    buttons = _buttons(step, message_id, language, name) if is_asking else ""
    return (f'<details class="mc-step {kind}" {"open" if is_asking else ""}><summary><span class="mc-step-name">{name}</span>'
            f'<span class="mc-step-state">{state}{seconds}</span></summary>{"".join(parts)}</details>{buttons}')


def tool_title(step: ToolStep, language: str) -> str:
    """The name of a tool for people: of a built-in one in their language, of a server's one as the server calls it."""
    if has_text(f"tools.{step.group}"):
        return text(language, f"tools.{step.group}")
    server = step.group.removeprefix(PREFIX)
    return f"{server} › {step.name.removeprefix(f'{server}__')}" if step.group.startswith(PREFIX) else step.name


def visible(content: str) -> str:
    """Return `content` with every character that is not seen, or changes the order of others, written as its number."""
    return "".join(f"\\u{{{ord(char):x}}}" if _is_hidden(char) else char for char in content)


def _is_hidden(char: str) -> bool:
    return char not in "\n\t" and (unicodedata.category(char) in INVISIBLE or ord(char) in IGNORED)


def _beginning(content: str) -> str:
    return content if len(content) <= SHOWN_CHARS else content[:SHOWN_CHARS] + "…"


def _buttons(step: ToolStep, message_id: int, language: str, name: str) -> str:
    """The answers to the question whether a call may be made."""
    actions = ["approve-call", "refuse-call", *(["trust-tool"] if step.can_be_trusted else [])]
    keys = {"approve-call": "tools.approve", "refuse-call": "tools.refuse", "trust-tool": "tools.always"}
    shown = "".join(f'<button type="button" data-act="{act}" data-id="{message_id}" value="{html.escape(step.id)}">'
                    f'{html.escape(text(language, keys[act]))}</button>' for act in actions)
    question = text(language, "tools.question", name=html.unescape(name))
    return (f'<div class="mc-step-ask" role="group" aria-label="{html.escape(question)}"><p>{html.escape(question)}</p>'
            f'<span class="mc-step-acts">{shown}</span></div>')


def _part(label: str, content: str) -> str:
    shown = html.escape(visible(content))
    return f'<p class="mc-step-label">{label}</p><pre tabindex="0" data-language="" role="region" aria-label="{label}">{shown}</pre>'


def _values(step: ToolStep) -> dict[str, Any]:
    try:
        found = json.loads(step.arguments)
    except (ValueError, RecursionError):        # of an imported chat
        return {}
    return found if isinstance(found, dict) else {}


def _code(step: ToolStep) -> str:
    """The program of a call that runs one."""
    code = _values(step).get("code") if step.group == "python" else ""
    return code if isinstance(code, str) else ""


def _arguments(step: ToolStep) -> str:
    found = _values(step)
    try:
        return json.dumps(found, indent=2, ensure_ascii=False) if found else step.arguments
    except RecursionError:
        return step.arguments
