"""A reply in which the model may call tools: it generates, its calls are approved and run, their results go back to it, until it answers.

The model is held only while it generates: an approval and a tool's work hold nothing of it. What a tool returns is data: it is marked as
such, and nothing in it starts a call, since calls are read from what the model generates alone and a person approves each of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ..background import StopSignal
from ..errors import EngineError, InvalidRequest, MessageTooLong, StorageError
from ..messages import Finished, GenerationOptions, Message, ReasoningDelta, StreamEvent, TextDelta, Usage
from ..models.spec import ModelSpec
from ..runtime.engine import Engine
from ..storage.database import Database
from ..storage.records import ChatMessage
from ..storage.tool_steps import ToolStep
from ..storage.tool_trust import ToolTrust
from ..tool_calls import MAX_CALLS, InvalidTools, ToolCall, ToolCallDelta, calls_of, new_call_id
from ..tools import HARMLESS, BoundTool, CallContext, Toolbox, misfit, run_tool
from .approvals import APPROVAL_S, PUBLIC_APPROVAL_S, READABLE_CHARS, Approvals, Decision
from .attachments import first_part
from .question import Ask
from .tool_history import BETWEEN, round_messages
from .tool_room import NO_ROOM_NOTE, make_room

log = logging.getLogger(__name__)
MAX_ROUNDS = 8              # of calls in one reply
WINDOW_SHARE = 4            # all results of one round take at most a quarter of the context window
LIMIT_NOTE = "The model called tools in {count} rounds without an answer, so the reply ends here."
EXPIRED_NOTE = "Nobody approved the call of {name} in time, so the reply ends here."
CUT_CALL_NOTE = "The model wrote a call of a tool that is not complete, so it was not made."
UNUSABLE = "The tool {name} is left out, because of its schema: {why}."
TOO_LARGE = "with it, no message fits the context window"
MISFIT = "The arguments do not fit the schema of the tool: {why}. Correct them, or answer without this call."
UNREADABLE = ("The arguments have {count:,} characters. A person approves this call and can read at most {most:,}, so it was not made. "
              "Make it smaller.")
MAX_CHECKED = 2_000
SHORTENED = "\n[The rest is left out: it does not fit.]"

LoopEvent = StreamEvent | ToolStep


@dataclass(slots=True)
class _Round:
    """What the model generated at once."""

    text: str = ""
    thoughts: str = ""
    calls: Sequence[ToolCall] = ()
    finished: Finished | None = None


@dataclass(slots=True)
class _Work:
    """One reply. `written`: characters of its text so far. `ids`: of its calls. `approval_s`: how long it may still wait for a person."""

    owner: str
    message_id: int
    ask: Ask
    stop: StopSignal
    tools: dict[str, BoundTool]
    messages: list[Message]
    written: int
    ids: set[str]
    approval_s: float
    usage: Usage | None = None
    notes: tuple[str, ...] = ()
    expired: str = ""

    def finished(self, last: Finished, note: str = "") -> Finished:
        reason = "stop" if last.reason == "tool_calls" else last.reason
        return Finished(reason, self.usage or last.usage, (*self.notes, *last.notes, *filter(None, [note])))


class ToolLoop:
    """Safe to use from many threads."""

    def __init__(self, engine: Engine, database: Database, toolbox: Toolbox) -> None:
        self._engine, self._trust = engine, ToolTrust(database)
        self.toolbox, self.approvals = toolbox, Approvals()
        self._checked: dict[tuple[ModelSpec | None, str], str] = {}     # why a tool cannot be used with a model, "" if it can

    def options(self, ask: Ask) -> GenerationOptions:
        """The options of the first request of a reply, with the tools that are known without asking a server."""
        return _with_tools(ask.options, [tool for tool in self.toolbox.known(self._chosen(ask)) if not self._problem(tool)])

    def stream(self, owner: str, before: ChatMessage, messages: Sequence[Message], ask: Ask,
               stop: StopSignal) -> Generator[LoopEvent, None, None]:
        """The events of a whole reply; a ToolStep each time a call changes. The last event is Finished, with the usage of all rounds.

        `before`: the reply as it is now: empty, or with what is continued. Raises what Engine.chat raises.
        """
        tools, problems = self._usable(*self.toolbox.open(self._chosen(ask), stop))
        approval_s = PUBLIC_APPROVAL_S if self._engine.settings.is_public else APPROVAL_S
        work = _Work(owner, before.id, ask, stop, {tool.name: tool for tool in tools}, list(messages), len(before.text),
                     {step.id for step in before.steps}, approval_s, notes=problems)
        earlier = max((step.round for step in before.steps), default=0)
        generated = _Round()
        for number in range(1, MAX_ROUNDS + 2):
            if not make_room(self._engine, work.messages, _with_tools(ask.options, tools)) and generated.finished:
                yield work.finished(generated.finished, NO_ROOM_NOTE)
                return
            generated = yield from self._generate(work)
            if generated.finished is None:
                return
            if not generated.calls:
                cut = generated.finished.reason == "tool_calls"
                yield work.finished(generated.finished, CUT_CALL_NOTE if cut else "")
                return
            if number > MAX_ROUNDS:
                yield work.finished(generated.finished, LIMIT_NOTE.format(count=MAX_ROUNDS))
                return
            yield from self._call(work, generated, earlier + number)
            if stop.is_set() or work.expired:
                note = EXPIRED_NOTE.format(name=work.expired) if work.expired else ""
                yield work.finished(replace(generated.finished, reason="stopped"), note)
                return

    def _chosen(self, ask: Ask) -> tuple[str, ...]:
        """The harmless tools are on by default, so alone they are given only to models that were trained to call tools."""
        if set(ask.tools) <= set(HARMLESS) and not self._engine.status().calls_tools:
            return ()
        return ask.tools

    def _usable(self, tools: Sequence[BoundTool], problems: tuple[str, ...]) -> tuple[Sequence[BoundTool], tuple[str, ...]]:
        """Leave out tools whose schemas the model cannot be held to: one of them would make the whole reply fail."""
        usable = []
        for tool in tools:
            why = self._problem(tool)
            if why:
                problems = (*problems, UNUSABLE.format(name=tool.name, why=why))
            else:
                usable.append(tool)
        return usable, problems

    def _problem(self, tool: BoundTool) -> str:
        """Why a request with this tool alone cannot be made; "" if it can, or if that is not known now."""
        key, checked = (self._engine.spec, tool.key), self._checked
        if (known := checked.get(key)) is not None:
            return known
        if self._engine.status().state != "ready":
            return ""
        why = ""
        try:
            self._engine.check_prompt([Message("user", "Hello")], GenerationOptions(tools=(tool.definition,)))
        except InvalidTools as error:
            why = error.why
        except MessageTooLong:
            why = TOO_LARGE
        except EngineError:     # no model can be asked now, so nothing is remembered: the request itself says what is wrong
            return ""
        self._checked = {**(checked if len(checked) < MAX_CHECKED else {}), key: why}
        return why

    def _generate(self, work: _Work) -> Generator[LoopEvent, None, _Round]:
        """One request to the model. All of its events but Finished are passed on."""
        generated, pieces = _Round(), list[ToolCallDelta]()
        options = _with_tools(work.ask.options, tuple(work.tools.values()))
        with closing(self._engine.chat(work.messages, options, stop=work.stop, visitor=work.owner)) as events:
            for event in events:
                match event:
                    case Finished():
                        generated.finished = event
                        continue
                    case TextDelta(text):
                        if not generated.text and work.written and work.messages[-1].role == "tool":
                            work.written += len(BETWEEN)
                            yield TextDelta(BETWEEN)
                        generated.text += text
                    case ReasoningDelta(text):
                        generated.thoughts += text
                    case ToolCallDelta():
                        pieces.append(event)
                yield event
        work.written += len(generated.text)
        if generated.finished is not None:
            work.usage = _together(work.usage, generated.finished.usage)
            if generated.finished.reason == "tool_calls":
                generated.calls = _calls(pieces)
        return generated

    def _call(self, work: _Work, generated: _Round, number: int) -> Generator[LoopEvent, None, None]:
        """Make the calls of a round, one after the other, and add them and their results to the messages."""
        steps: list[ToolStep] = []
        for call in generated.calls[:MAX_CALLS]:
            identity = call.id if call.id not in work.ids else new_call_id()
            work.ids.add(identity)
            tool = work.tools.get(call.name)
            step = ToolStep(identity, call.name, call.arguments, "running", at=work.written, round=number, group=tool.group if tool else "")
            if work.stop.is_set() or work.expired:
                step = replace(step, state="stopped")
            elif tool is None:
                step = replace(step, state="failed", result=f"There is no tool with this name, only {', '.join(work.tools)}.")
            else:
                step = yield from self._one(work, tool, step, call)
            steps.append(self._fitted(work, step, len(generated.calls)))
            yield steps[-1]
        work.messages += round_messages(generated.text, generated.thoughts, steps)

    def _one(self, work: _Work, tool: BoundTool, step: ToolStep, call: ToolCall) -> Generator[LoopEvent, None, ToolStep]:
        """Ask a person if that is needed, and run the tool. Returns the step with its result."""
        if why := misfit(tool.definition.schema, call.values):
            return replace(step, state="failed", result=MISFIT.format(why=why))
        if self._must_ask(work, tool):
            if len(step.arguments) > READABLE_CHARS:
                return replace(step, state="failed", result=UNREADABLE.format(count=len(step.arguments), most=READABLE_CHARS))
            decision = yield from self._ask_person(work, tool, step)
            if decision is None and not work.stop.is_set():
                work.expired = tool.name
                return replace(step, state="expired")
            if decision == "refuse":
                return replace(step, state="refused")
            if decision == "always":
                self._remember(work, tool)
        if work.stop.is_set():
            return replace(step, state="stopped")
        yield step
        started = time.monotonic()
        context = CallContext(work.owner, work.ask.zone, work.stop, self._engine.settings.is_public, work.ask.collections)
        outcome = run_tool(tool, call.values, context)
        seconds = time.monotonic() - started
        if work.stop.is_set():
            return replace(step, state="interrupted", seconds=seconds)
        return replace(step, state="failed" if outcome.is_error else "done", result=outcome.text, seconds=seconds)

    def _must_ask(self, work: _Work, tool: BoundTool) -> bool:
        if not tool.must_ask or (tool.is_limited_by_choice and work.ask.collections):
            return False
        return self._engine.settings.is_public or not tool.can_be_trusted or not self._is_trusted(work, tool)

    def _ask_person(self, work: _Work, tool: BoundTool, step: ToolStep) -> Generator[LoopEvent, None, Decision | None]:
        """All questions of a reply together wait for a limited time: an open one keeps a place on the page."""
        can_be_trusted = tool.can_be_trusted and not self._engine.settings.is_public
        asked = time.monotonic()
        with self.approvals.question(work.owner, work.message_id, step.id, can_be_trusted=can_be_trusted) as question:
            yield replace(step, state="waiting", can_be_trusted=can_be_trusted)
            decision = question.wait(work.stop, max(0.0, work.approval_s))
        work.approval_s -= time.monotonic() - asked
        return decision

    def _is_trusted(self, work: _Work, tool: BoundTool) -> bool:
        try:
            return self._trust.is_trusted(work.owner, work.message_id, tool.key)
        except StorageError as error:       # then the person is asked
            log.warning("%s", error)
            return False

    def _remember(self, work: _Work, tool: BoundTool) -> None:
        try:
            self._trust.trust(work.owner, work.message_id, tool.key)
        except StorageError as error:       # the next call is asked for again
            log.warning("%s", error)

    def _fitted(self, work: _Work, step: ToolStep, num_calls: int) -> ToolStep:
        """Cut a result that would not fit the window beside the others, or is over the visitor's limit of a message."""
        result, most = step.result, self._engine.visitors.limits.message_chars
        if most and len(result) > most // (2 * num_calls):
            result = result[:most // (2 * num_calls)] + SHORTENED
        try:
            window = self._engine.status().window_tokens
            if window:
                part = first_part(result, max(32, window // (WINDOW_SHARE * num_calls)), self._engine.count_tokens)
                result = result if len(part) == len(result) else part + SHORTENED
        except EngineError:     # unloaded meanwhile: the next request reports that
            pass
        return replace(step, result=result)


def _with_tools(options: GenerationOptions, tools: Sequence[BoundTool]) -> GenerationOptions:
    return replace(options, tools=tuple(tool.definition for tool in tools)) if tools else options


def _calls(pieces: Sequence[ToolCallDelta]) -> tuple[ToolCall, ...]:
    """The calls that the model wrote; none if one of them is cut or no call, as a server may send it."""
    try:
        return calls_of(pieces)
    except InvalidRequest as error:
        log.warning("A call of a tool was left out: %s", error)
        return ()


def _together(before: Usage | None, last: Usage) -> Usage:
    """The usage of all rounds: prompt and speed of the last one, the tokens that all of them generated, and the first one's first token."""
    if before is None:
        return last
    return replace(last, new_tokens=before.new_tokens + last.new_tokens, ttft_s=before.ttft_s,
                   reasoning_tokens=before.reasoning_tokens + last.reasoning_tokens, reasoning_s=before.reasoning_s + last.reasoning_s)
