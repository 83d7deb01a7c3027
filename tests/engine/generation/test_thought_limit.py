"""Thoughts that end after a budget of tokens: in both lanes, on real models with random weights."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from engine import Engine, Finished, GenerationOptions, Message, ReasoningDelta, TextDelta
from engine.errors import InvalidRequest
from engine.generation.base import NewTokens, TokenGenerator
from engine.generation.batched import BatchedGenerator
from engine.generation.lanes import LaneOptions, open_lane
from engine.generation.single import SingleGenerator
from engine.generation.thought_limit import ThoughtLimit
from tests import thinking_templates as templates
from tests import tiny_models

PROMPT = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14] * 3
TOKENIZER = tiny_models.tokenizer()
CLOSE = TOKENIZER("\n</think>\n\n", add_special_tokens=False)["input_ids"]
NEW = 60


def limit(budget: int, *, is_open: bool = True) -> ThoughtLimit:
    return ThoughtLimit(budget, "<think>", "</think>", CLOSE, TOKENIZER.decode, is_open=is_open)


def fed(made: ThoughtLimit, text: str) -> list[int]:
    """The tokens of a model that would write `text`, but for those that are required."""
    written = []
    for token in TOKENIZER(text, add_special_tokens=False)["input_ids"]:
        while (required := made.required) is not None:
            written.append(required)
            made.add(required)
        written.append(token)
        made.add(token)
    return written


def test_open_thoughts_end_after_their_budget() -> None:
    thought = TOKENIZER("the quick brown fox jumps over the lazy dog", add_special_tokens=False)["input_ids"]
    assert fed(limit(3), "the quick brown fox jumps over the lazy dog") == [*thought[:3], *CLOSE, *thought[3:]]
    assert fed(limit(0), "the quick")[: len(CLOSE)] == CLOSE


@pytest.mark.parametrize("text", ["the fox</think>jumps over the lazy dog", "the fox\n</think>\n\njumps over the lazy dog"])
def test_thoughts_that_end_before_their_budget_are_left_alone(text: str) -> None:
    assert TOKENIZER.decode(fed(limit(20), text)) == text


def test_thoughts_that_the_reply_opens_are_counted_from_there() -> None:
    opened = TOKENIZER("<think>", add_special_tokens=False)["input_ids"]
    assert fed(limit(0, is_open=False), "<think>the quick")[: len(opened) + len(CLOSE)] == [*opened, *CLOSE]


@pytest.mark.parametrize("text", ["the quick <think> brown fox", "<thing> fox"])
def test_an_answer_without_thoughts_is_not_limited(text: str) -> None:
    assert TOKENIZER.decode(fed(limit(0, is_open=False), text)) == text


# --- in the lanes ---

@pytest.fixture(scope="module")
def model(llama_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def batched(llama_folder: Path) -> Iterator[BatchedGenerator]:
    generator = lane(llama_folder, 2048)
    yield generator
    generator.close()


def lane(folder: Path, total_tokens: int) -> BatchedGenerator:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    generator = open_lane(model, LaneOptions(512, total_tokens, 1, frozenset(), 0)).generator
    assert isinstance(generator, BatchedGenerator)
    return generator


def expected(model: PreTrainedModel, budget: int, prompt: list[int] = PROMPT) -> list[int]:
    """Greedy: thoughts, their forced end, and how the model goes on after it."""
    ids = prompt
    for count in (budget, NEW - budget - len(CLOSE)):
        made = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False, eos_token_id=None, pad_token_id=0)
        ids = [*made[0].tolist(), *(CLOSE if count == budget else ())]
    return ids[len(prompt):]


def tokens(generator: TokenGenerator, budget: int, prompt: list[int] = PROMPT, **options: object) -> list[int]:
    asked = GenerationOptions(**{"max_new_tokens": NEW, "temperature": 0.0, **options})
    events = generator.stream(prompt, asked, thoughts=limit(budget))
    return [token for event in events if isinstance(event, NewTokens) for token in event.ids]


@pytest.mark.parametrize("budget", [5, 20])
def test_the_batched_lane_forces_the_end_and_goes_on_as_the_model_does(batched: BatchedGenerator, model: PreTrainedModel,
                                                                       budget: int) -> None:
    assert tokens(batched, budget) == expected(model, budget)


def test_the_single_lane_forces_the_end_and_goes_on_as_the_model_does(model: PreTrainedModel) -> None:
    single = SingleGenerator(model, 512, frozenset(), 0, can_slice=True)
    assert tokens(single, 20) == expected(model, 20)
    assert single._cached_ids == [*PROMPT, *expected(model, 20)][:-1]      # for the next turn


def test_a_seed_repeats_the_reply_with_and_without_guesses(llama_folder: Path) -> None:
    generator, drawn = lane(llama_folder, 2048), {"temperature": 0.9, "seed": 3, "top_k": 2}
    guessed = tokens(generator, 30, **drawn)
    assert guessed[30: 30 + len(CLOSE)] == CLOSE
    generator._scheduler._guesses = False
    assert tokens(generator, 30, **drawn) == guessed
    generator.close()


def test_the_end_costs_its_log_probability(batched: BatchedGenerator) -> None:
    asked = GenerationOptions(max_new_tokens=20, temperature=0.0, top_logprobs=1)
    scores = [event.scores[0] for event in batched.stream(PROMPT, asked, thoughts=limit(3)) if isinstance(event, NewTokens)]
    assert [score.likeliest[0][1] == score.log_probability for score in scores[:3]] == [True] * 3
    assert scores[3].log_probability < scores[3].likeliest[0][1]


def test_replies_that_are_put_back_and_computed_again_keep_their_budgets(llama_folder: Path, model: PreTrainedModel) -> None:
    generator = lane(llama_folder, 128)         # too small for both to the end
    put_back: list[object] = []
    original = generator._scheduler._put_back
    generator._scheduler._put_back = lambda sequence: (put_back.append(sequence), original(sequence))[1]     # type: ignore[method-assign]
    prompts, found = (PROMPT, PROMPT[4:] + PROMPT[:4]), {}
    threads = [threading.Thread(target=lambda n=number: found.update({n: tokens(generator, 12, prompts[n])})) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert put_back
    assert [found[number] for number in range(2)] == [expected(model, 12, prompt) for prompt in prompts]
    generator.close()


# --- whole replies ---

@pytest.fixture(scope="module")
def thinker(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return new_engine(tiny_models.llama(tmp_path_factory.mktemp("thinker") / "tiny-thinker", template=templates.SWITCH_OPEN))


def reply(engine: Engine, *messages: Message, **options: object) -> tuple[str, str, Finished]:
    """Its thoughts, its answer, and its end."""
    asked = GenerationOptions(**{"max_new_tokens": 40, "temperature": 0.0, "ignores_end": True, **options})
    events = list(engine.chat(messages or (Message("user", "hello world"),), asked))
    assert isinstance(events[-1], Finished)
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return thoughts, "".join(event.text for event in events if isinstance(event, TextDelta)), events[-1]


def test_a_reply_answers_when_its_thoughts_have_used_their_budget(thinker: Engine) -> None:
    thoughts, answer, finished = reply(thinker, reasoning_budget=10)
    assert thoughts
    assert answer
    assert "think" not in thoughts + answer
    assert finished.usage.new_tokens == 40
    assert finished.usage.reasoning_tokens == 10 + len(TOKENIZER("\n</think>", add_special_tokens=False)["input_ids"])
    assert 0 < finished.usage.reasoning_s < 60


def test_without_a_budget_thoughts_may_take_the_whole_reply(thinker: Engine) -> None:
    _, answer, finished = reply(thinker)
    assert answer == ""
    assert finished.usage.reasoning_tokens == finished.usage.new_tokens == 40


def test_no_effort_means_no_thoughts(thinker: Engine) -> None:
    thoughts, answer, finished = reply(thinker, reasoning_effort="none", reasoning_budget=0)
    assert (thoughts, finished.usage.reasoning_tokens, finished.usage.reasoning_s) == ("", 0, 0.0)
    assert answer


def test_a_stop_string_ends_a_reply_with_a_budget(thinker: Engine) -> None:
    thoughts, answer, _ = reply(thinker, reasoning_budget=10)
    stop = answer[-6:-3]
    assert stop not in thoughts
    _, cut, finished = reply(thinker, reasoning_budget=10, stop=[stop])
    assert cut == answer[:answer.index(stop)]
    assert finished.reason == "stop"


def test_thoughts_that_were_stopped_go_on_where_they_were(thinker: Engine) -> None:
    whole, _, _ = reply(thinker, max_new_tokens=24)
    begun, _, _ = reply(thinker, max_new_tokens=12)
    rest, answer, _ = reply(thinker, Message("user", "hello world"), Message("assistant", "", begun), max_new_tokens=12)
    assert (begun + rest)[: len(begun) + 1] == whole[: len(begun) + 1]
    assert rest
    assert answer == ""


def test_the_status_says_what_can_be_chosen(thinker: Engine, llama_engine: Engine) -> None:
    assert thinker.status().thinking.efforts == ("none", "medium")
    assert llama_engine.status().thinking.efforts == ()
    assert not llama_engine.status().thinking.has_thoughts


@pytest.mark.parametrize(("name", "value"), [("reasoning_effort", "much"), ("reasoning_effort", 3), ("reasoning_budget", -1),
                                             ("reasoning_budget", 1.5), ("reasoning_budget", True), ("reasoning_budget", 10**9)])
def test_invalid_options_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=name):
        GenerationOptions(**{name: value})      # type: ignore[arg-type]


def test_only_answers_have_thoughts() -> None:
    with pytest.raises(InvalidRequest, match="reasoning"):
        Message("user", "hi", "a thought")
