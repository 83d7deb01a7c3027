"""What a chat template offers about thoughts, found by rendering it: a switch, levels, a budget, and how it writes thoughts.

Nothing depends on the name of a model. Templates read variables (`enable_thinking`, `reasoning_effort`, ...) or words in a message
(`/no_think`); one that renders the same text for both values of a variable does not read it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import ChatTemplateFailed
from ..messages import EFFORTS, Effort, Thinking
from .text import THOUGHT_MARKS, opened_thought

# Variables that turn thoughts off and on, and their values for that.
SWITCHES: tuple[tuple[str, Any, Any], ...] = (
    ("enable_thinking", False, True), ("thinking", False, True), ("reasoning", False, True), ("thinking_mode", "disabled", "enabled"))
WORDS = ("/no_think", "/think")
LEVELS = ("reasoning_effort", "thinking_effort")
BUDGET = "thinking_budget"
PRINTED: tuple[Effort, ...] = ("low", "medium", "high")     # the levels of a template that prints whatever it gets
PREFERRED: tuple[Effort, ...] = ("medium", "high", "low", "xhigh", "minimal", "none")      # the name of values that are rendered alike
QUESTION, THOUGHT, ANSWER, OTHER = "probe-of-question", "probe-of-thought", "probe-of-answer", "probe-of-effort"
HEADER = "<|start|>assistant"       # of each channel of an answer

NEVER_NOTE = "This model does not think before it answers."
ALWAYS_NOTE = "This model always thinks before it answers; that cannot be turned off."
NEAREST_NOTE = "This model has no effort of thought “{asked}”; “{used}” was used."

NO_CHOICE = Thinking()


class Render(Protocol):
    """Renders a chat with variables of the template. Raises ChatTemplateFailed."""

    def __call__(self, chat: list[dict[str, str]], variables: Mapping[str, Any], *, opens_reply: bool = True) -> str: ...


@dataclass(frozen=True, slots=True)
class Wording:
    """How a template is asked for an effort: by variables, or by a word at the end of the last message. `rules`: for the system prompt."""

    variables: Mapping[str, Any] = field(default_factory=dict)
    word: str = ""
    rules: str = ""


@dataclass(frozen=True, slots=True)
class TemplateThinking:
    """`start`, `end`: the marks around thoughts; empty without thoughts. `before`, `after`: the whole text that the template writes there.

    `reads_budget`: whether the template tells the model its budget.
    """

    offer: Thinking = NO_CHOICE
    wordings: Mapping[Effort, Wording] = field(default_factory=dict)
    start: str = ""
    end: str = ""
    before: str = ""
    after: str = ""
    reads_budget: bool = False

    @property
    def reads_words(self) -> bool:
        return any(wording.word for wording in self.wordings.values())

    def wording(self, effort: Effort | None, budget: int | None) -> Wording:
        """Return how to ask for `effort` and, if the template reads it, for `budget`."""
        nearest = self.offer.nearest(effort)
        wording = self.wordings[nearest] if nearest else Wording()
        if budget is not None and self.reads_budget and nearest != "none":
            return Wording({**wording.variables, BUDGET: budget}, wording.word)
        return wording

    def notes(self, effort: Effort | None) -> tuple[str, ...]:
        """Return a sentence if the model does something else than `effort`."""
        nearest, is_switch = self.offer.nearest(effort), self.offer.efforts == ("none", "medium")
        if effort is None or nearest == effort or (is_switch and effort != "none"):
            return ()
        if not self.offer.has_thoughts:
            return () if effort == "none" else (NEVER_NOTE,)
        if nearest is not None:
            return (NEAREST_NOTE.format(asked=effort, used=nearest),)
        return (ALWAYS_NOTE,) if effort == "none" else ()

    def begun(self, prompt: str, reasoning: str, answer: str) -> str:
        """Return the beginning of a reply that follows `prompt`: thoughts, the end of thoughts if an answer has begun, and that answer.

        Without the thoughts where the model has none, or is asked for none now.
        """
        after = f"{self.after}{answer}" if answer else ""
        if opened_thought(prompt):
            return reasoning + after
        if reasoning and self.end and not prompt.rstrip().endswith(self.end):
            return self.before + reasoning + after
        return (self.after.rpartition(HEADER)[2] if HEADER in self.after else "") + answer


def read_thinking(render: Render, template: str, marks: Collection[str]) -> TemplateThinking:
    """Render a few small chats and return what they show. marks: of thoughts, among the tokenizer's added tokens."""
    texts = _Texts(render)
    switch = texts.switch()
    wordings = texts.levels(switch[1] if switch else Wording())
    if switch:
        wordings = {**(wordings or {"medium": switch[1]}), "none": switch[0]}
    reads_budget = texts.differ({BUDGET: 0}, {BUDGET: 512})
    if reads_budget and not wordings:
        wordings = {"none": Wording({BUDGET: 0}), "medium": Wording()}
    efforts = tuple(each for each in EFFORTS if each in wordings)
    usual = texts.of(Wording())
    default = next((each for each in efforts if texts.of(wordings[each]) == usual), None)
    thinking = wordings[efforts[-1]] if efforts else Wording()
    start, end, before, after = _written(texts, thinking, template, marks)
    return TemplateThinking(Thinking(efforts, default, bool(end)), wordings, start, end, before, after, reads_budget)


class _Texts:
    """The prompts of a small chat, by what the template is asked for; None where it raises an error."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def of(self, wording: Wording) -> str | None:
        """The prompt without the word."""
        text = self.of_chat([_question(wording)], wording.variables)
        return text and text.replace(f"{QUESTION} {wording.word}", QUESTION).replace(f"{QUESTION} ", QUESTION)

    def of_chat(self, chat: list[dict[str, str]], variables: Mapping[str, Any], *, opens_reply: bool = True) -> str | None:
        try:
            return self._render(chat, variables, opens_reply=opens_reply)
        except ChatTemplateFailed:
            return None

    def differ(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
        texts = self.of(Wording(first)), self.of(Wording(second))
        return None not in texts and texts[0] != texts[1]

    def switch(self) -> tuple[Wording, Wording] | None:
        """Return how to ask for no thoughts and for thoughts; None if there is no switch."""
        for name, off, on in SWITCHES:
            if self.differ({name: off}, {name: on}):
                return Wording({name: off}), Wording({name: on})
        without, with_thoughts = (Wording(word=word) for word in WORDS)
        if self.of(without) == self.of(with_thoughts):
            return None
        is_usual = self.of(with_thoughts) == self.of(Wording())
        return without, Wording() if is_usual else with_thoughts        # without a word of ours, a person's own applies

    def levels(self, on: Wording) -> dict[Effort, Wording]:
        """Return how to ask for each level; empty if the template has none. Values that are rendered alike are one level."""
        for name in LEVELS:
            texts = {each: self.of(Wording({**on.variables, name: each})) for each in EFFORTS}
            other = self.of(Wording({**on.variables, name: OTHER}))
            allowed = PRINTED if other is not None and OTHER in other else EFFORTS
            alike: dict[str, list[Effort]] = {}
            for each in allowed:
                if (text := texts[each]) is not None:
                    alike.setdefault(text, []).append(each)
            if len(alike) > 1:
                chosen = [_name(text, efforts) for text, efforts in alike.items()]
                return {each: Wording({**on.variables, name: each}) for each in chosen}
        return {}


def _name(prompt: str, efforts: Sequence[Effort]) -> Effort:
    """Of values with the same prompt: "none" if that closes thoughts at once, as a template does for values that it does not know."""
    if "none" in efforts and any(prompt.rstrip().endswith(end) for _, end in THOUGHT_MARKS):
        return "none"
    return min(efforts, key=PREFERRED.index)


def _written(texts: _Texts, thinking: Wording, template: str, marks: Collection[str]) -> tuple[str, str, str, str]:
    """Return the marks around thoughts, and the texts around them as the template writes them."""
    prompt = texts.of(thinking) or ""
    chat = [_question(thinking), {"role": "assistant", "content": ANSWER, **thoughts_before(THOUGHT)}]
    whole = texts.of_chat(chat, thinking.variables, opens_reply=False) or ""
    head, _, rest = whole.partition(THOUGHT)
    between = rest.partition(ANSWER)[0] if ANSWER in rest else ""
    known = [pair for pair in THOUGHT_MARKS if "<|channel|>" in marks or not pair[0].startswith("<|channel|>")]
    for start, end in known:
        if end in between:
            before = head[len(prompt):] if head.startswith(prompt) else _opening(start)
            return start, end, before, between
    opened = opened_thought(prompt)
    for start, end in known:
        if end == opened or (not opened and (end in template or (end in marks and start in marks))):
            after = f"{end}{HEADER}<|channel|>final<|message|>" if start.startswith("<|channel|>") else f"\n{end}\n\n"
            return start, end, _opening(start), after
    return "", "", "", ""


def _question(wording: Wording) -> dict[str, str]:
    return {"role": "user", "content": f"{QUESTION} {wording.word}".rstrip()}


def thoughts_before(text: str) -> dict[str, str]:
    """Return the members of an answer that hold its thoughts: templates read one or the other name."""
    return {"reasoning_content": text, "thinking": text}


def _opening(start: str) -> str:
    return start if start.startswith("<|channel|>") else f"{start}\n"
