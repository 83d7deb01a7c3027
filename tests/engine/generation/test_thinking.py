"""What templates of real families offer about thoughts, and the prompts that result from it."""

import pytest
from transformers import PreTrainedTokenizerFast

from engine.generation.context import ChatContext
from engine.generation.thinking import ALWAYS_NOTE, NEVER_NOTE
from engine.messages import Effort, Message, Thinking
from tests import thinking_templates as templates
from tests import tiny_models

HI = [Message("user", "hi")]
CHANNEL_TOKENS = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>"]


def tokenizer(template: str | None, *special: str) -> PreTrainedTokenizerFast:
    made = tiny_models.tokenizer(template)
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def context(template: str | None, *special: str) -> ChatContext:
    return ChatContext(tokenizer(template, *special), 2048)


@pytest.mark.parametrize(("template", "efforts", "default"), [
    (templates.SWITCH, ("none", "medium"), "medium"),
    (templates.SWITCH_OPEN, ("none", "medium"), "medium"),
    (templates.OFF_BY_DEFAULT, ("none", "medium"), "none"),
    (templates.LEVELS, ("low", "medium", "high"), "medium"),
    (templates.CHECKED_LEVELS, ("none", "high"), "none"),
    (templates.LISTED_LEVELS, ("none", "low", "high"), "none"),
    (templates.WORDS, ("none", "medium"), "medium"),
    (templates.BUDGET, ("none", "medium"), "medium"),
    (templates.CHANNEL, ("none", "medium"), "none"),
    (templates.ALWAYS, (), None),
    (tiny_models.CHATML, (), None),
    (tiny_models.NO_SYSTEM, (), None),
    (None, (), None),
])
def test_a_template_shows_what_can_be_chosen(template: str | None, efforts: tuple[Effort, ...], default: Effort | None) -> None:
    offer = context(template, *CHANNEL_TOKENS).thinking.offer
    assert (offer.efforts, offer.default) == (efforts, default)


@pytest.mark.parametrize(("template", "start", "before", "after"), [
    (templates.SWITCH, "<think>", "<think>\n", "\n</think>\n\n"),
    (templates.SWITCH_OPEN, "<think>", "<think>\n", "\n</think>\n\n"),
    (templates.CHECKED_LEVELS, "[THINK]", "[THINK]", "[/THINK]"),
    (templates.LEVELS, "<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>",
     "<|end|><|start|>assistant<|channel|>final<|message|>"),
    (templates.CHANNEL, "<|channel>thought", "<|channel>thought\n", "\n<channel|>"),
    (templates.BUDGET, "<seed:think>", "<seed:think>\n", "\n</seed:think>\n\n"),
    (tiny_models.CHATML, "", "", ""),
])
def test_the_texts_around_thoughts_are_those_of_the_template(template: str, start: str, before: str, after: str) -> None:
    thinking = context(template, *CHANNEL_TOKENS).thinking
    assert (thinking.start, thinking.before, thinking.after) == (start, before, after)
    assert thinking.offer.has_thoughts == bool(start)


def test_a_template_whose_turns_end_like_a_channel_has_no_thoughts() -> None:
    phi = "{%- for m in messages -%}{{- '<|' + m['role'] + '|>' + m['content'] + '<|end|>' -}}{%- endfor -%}<|assistant|>"
    assert not context(phi, "<|end|>").thinking.offer.has_thoughts


@pytest.mark.parametrize(("template", "effort", "expected"), [
    (templates.SWITCH, "none", "<think>\n\n</think>\n\n"), (templates.SWITCH, "high", "assistant\n"),
    (templates.SWITCH_OPEN, "none", "</think>\n\n"), (templates.SWITCH_OPEN, "low", "assistant\n<think>\n"),
    (templates.OFF_BY_DEFAULT, None, "</think>"), (templates.OFF_BY_DEFAULT, "medium", "assistant\n<think>"),
    (templates.WORDS, "none", "user\nhi<|im_end|>\n<|im_start|>assistant\n<think></think>"),
    (templates.WORDS, "medium", "assistant\n<think>\n"),
    (templates.BUDGET, "none", "<seed:think></seed:think>"),
])
def test_a_mode_is_asked_for_in_the_words_of_the_template(template: str, effort: Effort | None, expected: str) -> None:
    assert context(template).fit(HI, 32, effort).text.endswith(expected)


@pytest.mark.parametrize(("effort", "expected"), [
    ("minimal", "low"), ("low", "low"), ("high", "high"), ("xhigh", "high"), (None, "medium")])
def test_a_level_that_the_model_lacks_becomes_the_nearest(effort: Effort | None, expected: str) -> None:
    prompt = context(templates.LEVELS, *CHANNEL_TOKENS).fit(HI, 32, effort)
    assert f"Reasoning: {expected}" in prompt.text
    assert len(prompt.notes) == (0 if effort in (None, expected) else 1)


def test_a_budget_is_told_to_a_template_that_reads_it() -> None:
    assert "Budget: 600" in context(templates.BUDGET).fit(HI, 32, None, 600).text
    assert "Budget" not in context(templates.BUDGET).fit(HI, 32).text
    assert context(templates.BUDGET).fit(HI, 32, "none", 600).text.endswith("</seed:think>")


@pytest.mark.parametrize(("template", "effort", "notes"), [
    (templates.ALWAYS, "none", (ALWAYS_NOTE,)), (templates.ALWAYS, "high", ()), (tiny_models.CHATML, "high", (NEVER_NOTE,)),
    (tiny_models.CHATML, "none", ()), (tiny_models.CHATML, None, ()), (templates.SWITCH, "high", ()),
])
def test_a_mode_that_the_model_does_not_offer_is_noted(template: str, effort: Effort | None, notes: tuple[str, ...]) -> None:
    assert context(template).fit(HI, 32, effort).notes == notes


def test_words_that_switch_thoughts_can_be_written_in_a_message() -> None:
    prompt = context(templates.WORDS).fit([Message("user", "hi /no_think there")], 32)
    assert prompt.text.endswith("<think></think>")
    assert "hi  there" in prompt.text
    assert context(templates.WORDS).fit([Message("user", "hi /no_think there")], 32, "medium").text == prompt.text


EARLIER = [Message("user", "hi"), Message("assistant", "hello", reasoning="a wave"), Message("user", "again")]


def test_thoughts_of_earlier_turns_are_kept_where_the_template_keeps_them() -> None:
    kept, dropped = (context(each).fit(EARLIER, 32) for each in (templates.KEEPS, templates.SWITCH))
    assert "<think>\na wave\n</think>\n\nhello" in kept.text
    assert "a wave" not in dropped.text
    assert len(kept.ids) > len(dropped.ids)


def test_kept_thoughts_count_in_the_window() -> None:
    long = [Message("user", "hi"), Message("assistant", "hello", reasoning="a wave " * 300), Message("user", "again")]
    small = ChatContext(tokenizer(templates.KEEPS), 256)
    assert small.fit(long, 32).dropped_messages == 2
    assert ChatContext(tokenizer(templates.SWITCH), 256).fit(long, 32).dropped_messages == 0


def test_control_tokens_in_thoughts_are_read_as_text() -> None:
    made = tokenizer(templates.KEEPS)
    prompt = ChatContext(made, 2048).fit([EARLIER[0], Message("assistant", "hello", reasoning="<|im_end|>"), EARLIER[2]], 32)
    assert prompt.text.count("<|im_end|>") == 4
    assert prompt.ids.count(made.convert_tokens_to_ids("<|im_end|>")) == 3


@pytest.mark.parametrize(("template", "thoughts", "answer", "end"), [
    (templates.SWITCH, "a wave", "hel", "assistant\n<think>\na wave\n</think>\n\nhel"),
    (templates.SWITCH, "a wa", "", "assistant\n<think>\na wa"),
    (templates.SWITCH, "", "hel", "assistant\nhel"),
    (templates.ALWAYS, "a wave", "hel", "assistant\n<think>\na wave\n</think>\n\nhel"),
    (templates.ALWAYS, "", "hel", "assistant\n<think>\n\n</think>\n\nhel"),
    (templates.LEVELS, "a wave", "hel",
     "assistant<|channel|>analysis<|message|>a wave<|end|><|start|>assistant<|channel|>final<|message|>hel"),
    (templates.LEVELS, "", "hel", "assistant<|channel|>final<|message|>hel"),
])
def test_a_reply_goes_on_after_its_thoughts_or_within_them(template: str, thoughts: str, answer: str, end: str) -> None:
    prompt = context(template, *CHANNEL_TOKENS).fit([*HI, Message("assistant", answer, thoughts)], 32)
    assert prompt.text.endswith(end)
    assert bool(prompt.open_thought) == (not answer)


@pytest.mark.parametrize(("template", "effort", "end"), [
    (templates.SWITCH, "none", "assistant\n<think>\n\n</think>\n\n"), (tiny_models.CHATML, None, "assistant\n")])
def test_thoughts_do_not_go_on_where_the_model_is_asked_for_none_or_has_none(template: str, effort: Effort | None, end: str) -> None:
    prompt = context(template).fit([*HI, Message("assistant", "", "a wave")], 32, effort)
    assert prompt.text.endswith(end)
    assert (prompt.open_thought, prompt.has_thoughts) == ("", False)


@pytest.mark.parametrize(("efforts", "asked", "nearest"), [
    (("none", "medium"), "xhigh", "medium"), (("none", "medium"), "none", "none"), (("none", "high"), "minimal", "high"),
    (("low", "high"), "none", "low"), (("low", "high"), "medium", "low"), ((), "high", None), (("low", "high"), None, None)])
def test_the_nearest_effort_keeps_thoughts_on_or_off(efforts: tuple[Effort, ...], asked: Effort | None, nearest: Effort | None) -> None:
    assert Thinking(efforts).nearest(asked) == nearest
