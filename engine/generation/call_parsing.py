"""From the text of an answer to its words and its calls of tools, as it comes.

The grammar (call_grammar.py) keeps the model to the wording, so nothing is guessed here: what does not follow the wording is text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..messages import TextDelta
from ..tool_calls import NAME, Tool, ToolCallDelta, new_call_id
from .call_wording import HEADER, ID, CallWording, ParameterWording, is_text, properties_of, shared
from .text import longest_partial

ID_CHARS = 9
PYTHON = re.compile("^(True|False)")
MAYBE, DIFFERS = -1, -2

Delta = TextDelta | ToolCallDelta
Step = Generator[Delta | None, None, None]      # None: more text is needed
Choice = Generator[Delta | None, None, bool]


class _Differs(Exception):
    """The text is not what the wording has in this place."""


@dataclass(slots=True)
class _Braces:
    """Finds where a JSON object or list ends."""

    depth: int = 0
    is_text: bool = False
    is_escaped: bool = False

    def take(self, text: str) -> tuple[int, bool]:
        """How many characters of `text` belong to it, and whether it ends with them."""
        for at, char in enumerate(text):
            if self.is_escaped:
                self.is_escaped = False
            elif self.is_text:
                self.is_escaped = char == "\\"
                self.is_text = char != '"'
            elif char == '"':
                self.is_text = True
            elif char in "{[":
                self.depth += 1
            elif char in "}]":
                self.depth -= 1
                if self.depth == 0:
                    return at + 1, True
        return len(text), False


class CallParser:
    """Reads one answer. `tools`: those that it may call. `begun`: the beginning of the answer, which was given."""

    def __init__(self, wording: CallWording, tools: tuple[Tool, ...], begun: str = "") -> None:
        self._wording = wording
        self._schemas = {tool.name: properties_of(tool.schema) for tool in tools}
        self._steps = self._read()
        self._held = ""
        self._has_text = bool(begun)
        self._is_over = False
        self.num_calls = 0
        self.is_whole = False       # whether the latest call is
        next(self._steps)

    def feed(self, text: str) -> Iterator[Delta]:
        self._held += text
        yield from self._run()

    def flush(self) -> Iterator[Delta]:
        """The rest, when no text will follow."""
        self._is_over = True
        yield from self._run()
        rest, self._held = self._held, ""
        if rest and not self.num_calls:
            yield TextDelta(rest)

    def _run(self) -> Iterator[Delta]:
        """Whatever can be read of what is held. A step asks for more by yielding None."""
        for found in self._steps:
            if found is None:
                return
            yield found

    # --- the parts of an answer, in their order ---

    def _read(self) -> Step:
        yield None
        yield from self._text()
        try:
            yield from self._literal(self._wording.lead)
            while (yield from self._call()):
                pass
        except _Differs:
            pass
        while True:         # nothing comes after the calls
            self._held = ""
            yield None

    def _text(self) -> Step:
        """Everything before the first call; white space right before it is no part of the answer."""
        trigger = self._wording.trigger
        triggers = (trigger, HEADER + trigger) if self._wording.before_text else (trigger,)
        while True:
            at = min((at for each in triggers if (at := self._held.find(each)) >= 0), default=-1) if trigger else self._start()
            if at >= 0:
                before, self._held = self._held[:at].rstrip(), self._held[at:].removeprefix(HEADER)
                if before:
                    yield TextDelta(before)
                return
            kept = self._num_kept(triggers)
            if self._is_over:       # what may have become a call is text, but not where a channel was about to begin
                self._held, kept = self._held[:len(self._held) - kept] if self._wording.before_text else self._held, 0
            shown, self._held = self._held[:len(self._held) - kept], self._held[len(self._held) - kept:]
            if shown:
                self._has_text = True
                yield TextDelta(shown)
            yield None

    def _num_kept(self, triggers: tuple[str, ...]) -> int:
        """Characters at the end that may belong to the beginning of calls."""
        if not triggers[0]:
            return len(self._held) if not self._has_text and any(each.startswith(self._held.lstrip()) for each in self._beginnings()) else 0
        partial = longest_partial(self._held, triggers)
        rest = self._held[:len(self._held) - partial]
        return len(self._held) - len(rest.rstrip())

    def _start(self) -> int:
        """Where calls begin, if the answer begins with them; -1 if it does not, or not yet."""
        is_call = not self._has_text and self._held.lstrip().startswith(self._beginnings())
        return len(self._held) - len(self._held.lstrip()) if is_call else -1

    def _beginnings(self) -> tuple[str, ...]:
        return tuple(f"{self._wording.lead.lstrip()}{name}{self._wording.after_name[:1]}" for name in self._schemas)

    def _literal(self, text: str) -> Step:
        """Take this text; white space may differ, since decoders change it beside control tokens. Raises _Differs."""
        at = 0
        while at < len(text):
            while not self._held or (text[at] == ID and len(self._held) < ID_CHARS):
                yield None
            if text[at] == ID:
                self._held, at = self._held[ID_CHARS:], at + 1
            elif self._held[0] == text[at]:
                self._held, at = self._held[1:], at + 1
            elif text[at].isspace():
                at += 1
            elif self._held[0].isspace():
                self._held = self._held[1:]
            else:
                raise _Differs

    def _call(self) -> Choice:
        """Take a call and what follows it. Returns whether another one begins there."""
        wording, name = self._wording, (yield from self._name())
        index, self.num_calls, self.is_whole = self.num_calls, self.num_calls + 1, False
        yield ToolCallDelta(index, new_call_id(), name)
        if wording.parameters is not None:
            return (yield from self._parameters(wording.parameters, index, self._schemas[name]))
        yield from self._literal(wording.after_name)
        yield from self._object(index)
        self.is_whole = True
        return (yield from self._goes_on(""))

    def _name(self) -> Generator[Delta | None, None, str]:
        """Raises _Differs if it is no tool's."""
        while (end := _name_size(self._held)) == len(self._held):
            yield None
        name, self._held = self._held[:end], self._held[end:]
        if name not in self._schemas:
            raise _Differs
        return name

    def _object(self, index: int) -> Step:
        scan, is_over = _Braces(), False
        while not is_over:
            while not self._held:
                yield None
            taken, is_over = scan.take(self._held)
            piece, self._held = self._held[:taken], self._held[taken:]
            yield ToolCallDelta(index, arguments=piece)

    def _goes_on(self, taken: str) -> Choice:
        """Take what follows a call, after this text. Returns whether another one begins."""
        join, end = self._wording.join, self._wording.end.removeprefix(taken)
        return (yield from self._choose((end, "\0" if join is None else join.removeprefix(taken))))

    def _choose(self, options: tuple[str, str]) -> Choice:
        """Take the one of two texts that follows; white space before it is ignored. Returns whether it is the second.

        Raises _Differs if neither follows.
        """
        while True:
            self._held = self._held.lstrip()
            sizes = [_size(each.lstrip(), self._held) for each in options]
            whole = max(sizes)
            if MAYBE not in sizes and whole >= 0:
                self._held = self._held[whole:]
                return sizes[1] == whole
            if whole == DIFFERS:
                raise _Differs
            yield None

    # --- arguments that are written one by one ---

    def _parameters(self, wording: ParameterWording, index: int, properties: Mapping[str, Any]) -> Choice:
        """Take them and what follows. Returns whether another call begins there. The pieces are whole arguments."""
        after = shared(self._wording.join or self._wording.end, self._wording.end)
        opening, options = "", (wording.none + after, wording.first)
        while (yield from self._choose(options)):
            key = yield from self._until(wording.after_key)
            value = yield from self._value(wording, is_text(properties.get(key)), after)
            opening, options = ", " if opening else "{", (wording.last + after, wording.between)
            yield ToolCallDelta(index, arguments=f"{opening}{json.dumps(key, ensure_ascii=False)}: {value}")
        yield ToolCallDelta(index, arguments="}" if opening else "{}")
        self.is_whole = True
        return (yield from self._goes_on(after))

    def _value(self, wording: ParameterWording, is_plain: bool, after: str) -> Generator[Delta | None, None, str]:
        """A value as JSON."""
        if is_plain and wording.is_raw:
            yield from self._literal(wording.quote)
            text = yield from self._raw(wording.quote or wording.stop, wording.blank)
            yield from self._literal(wording.quote)
            return json.dumps(text, ensure_ascii=False)
        ends = (wording.last + after).lstrip(), wording.between.lstrip()
        while True:
            at = 0
            try:
                self._held = self._held.lstrip()
                value, at = json.JSONDecoder().raw_decode(PYTHON.sub(lambda word: word[0].lower(), self._held, count=1))
            except ValueError:
                value = None
            rest = self._held[at:].lstrip()
            if at and rest and any(rest.startswith(each[:1]) for each in ends):
                self._held = rest
                return json.dumps(value, ensure_ascii=False)
            yield None

    def _raw(self, stop: str, blank: str) -> Generator[Delta | None, None, str]:
        """Text as it is, up to what stops it, and without the white space before that, if there is some."""
        while (at := self._held.find(stop)) < 0:
            yield None
        text, self._held = self._held[:at], self._held[at:]
        return text.removesuffix(blank)

    def _until(self, end: str) -> Generator[Delta | None, None, str]:
        """The text before `end`, both taken."""
        while (at := self._held.find(end)) < 0:
            yield None
        text, self._held = self._held[:at], self._held[at + len(end):]
        return text


def _name_size(text: str) -> int:
    found = NAME.match(text)
    return found.end() if found else 0


def _size(option: str, text: str) -> int:
    """How many characters at the beginning of a text are this option; MAYBE if more text could make it so, else DIFFERS."""
    at = 0
    for char in option:
        if char == ID:
            at += ID_CHARS
        elif at >= len(text):
            return MAYBE
        elif text[at] != char:
            return DIFFERS
        else:
            at += 1
    return at if at <= len(text) else MAYBE
