"""Runs one call of a tool in a thread of its own, so that it ends when its time is over or the reply is stopped, whatever the tool does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..background import StopSignal
from ..errors import EngineError
from .base import BoundTool, CallContext, ToolOutcome

log = logging.getLogger(__name__)
GRACE_S = 1.0       # for a tool to end by itself after its stop is set; its thread is left alone then
NOT_MADE = ToolOutcome("The reply was stopped before the call was made.", is_error=True)
STOPPED = ToolOutcome("The call was stopped.", is_error=True)


def run_tool(tool: BoundTool, arguments: Mapping[str, Any], context: CallContext) -> ToolOutcome:
    """Return the result of a call; an error of the tool and the end of its time are results too.

    Blocks for at most the tool's time and GRACE_S. After a stop the outcome does not matter: nobody reads it. If the stop is set before,
    nothing is run.
    """
    if context.stop.is_set():
        return NOT_MADE
    stop, over, ended = StopSignal(), threading.Event(), threading.Event()
    outcomes: list[ToolOutcome] = []

    def wake() -> None:
        stop.set()
        over.set()

    def work() -> None:
        try:
            outcomes.append(tool.run(arguments, replace(context, stop=stop)).limited())
        except EngineError as error:
            outcomes.append(ToolOutcome(str(error), is_error=True))
        except Exception as error:      # of one tool: the reply goes on, and the model reads that it failed
            log.exception("The tool %s failed unexpectedly", tool.name)
            outcomes.append(ToolOutcome(f"The tool failed unexpectedly ({type(error).__name__}).", is_error=True))
        finally:
            ended.set()
            over.set()

    context.stop.subscribe(wake)
    try:
        threading.Thread(target=work, name=f"tool {tool.name}", daemon=True).start()
        if not over.wait(tool.timeout_s):
            stop.set()
            ended.wait(GRACE_S)
            return ToolOutcome(f"The tool did not answer within {tool.timeout_s:g} s, so it was stopped. The call may have been made.",
                               is_error=True)
        if not ended.is_set():        # stopped by the person
            ended.wait(GRACE_S)
    finally:
        context.stop.unsubscribe(wake)
    return outcomes[0] if outcomes else STOPPED
