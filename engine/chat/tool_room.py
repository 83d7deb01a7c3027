"""Keeps the results of all rounds of a reply within the context window: the oldest ones are left out first."""

from __future__ import annotations

from dataclasses import replace

from ..errors import EngineError, MessageTooLong
from ..messages import GenerationOptions, Message
from ..runtime.engine import Engine

RESULTS_SHARE = 2           # all results in a reply take at most half of the window
LEFT_OUT = "[This result is left out: it does not fit the context window beside the later ones.]"
NO_ROOM_NOTE = "The calls of tools and their results fill the model's context window, so the reply ends here."


def make_room(engine: Engine, messages: list[Message], options: GenerationOptions) -> bool:
    """Leave out the oldest results since the last message of the user, in place, until the prompt fits. False if it never does."""
    begin = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    results = [at for at in range(begin, len(messages)) if messages[at].role == "tool"]

    def leave_out_oldest() -> None:
        at = results.pop(0)
        if len(messages[at].content) > len(LEFT_OUT):
            messages[at] = replace(messages[at], content=LEFT_OUT)

    if not results:
        return True
    try:
        window = engine.status().window_tokens
        sizes = [engine.count_tokens(messages[at].content) for at in results] if window else []
        while sizes and sum(sizes) > window // RESULTS_SHARE:
            leave_out_oldest()
            del sizes[0]
        while True:
            try:
                engine.check_prompt(messages, options)
                return True
            except MessageTooLong:
                if not results:
                    return False
                leave_out_oldest()
    except EngineError:         # the request itself reports it
        return True
