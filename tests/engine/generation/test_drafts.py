"""Guesses come from what a reply repeats, and change nothing in it."""

import threading
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from engine import GenerationOptions
from engine.generation.base import NewTokens
from engine.generation.batched import BatchedGenerator
from engine.generation.drafts import MOST, Drafts
from engine.generation.lanes import LaneOptions, open_lane
from engine.generation.sequence import Part
from tests.families import FAMILIES, LONG_ROPE_AFTER

PROMPT = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]


def lane(folder: Path) -> tuple[BatchedGenerator, list[int]]:
    """The lane of a tiny model, and the number of guessed tokens of each step."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    generator = open_lane(model, LaneOptions(512, 2048, 4, frozenset(), 0)).generator
    assert isinstance(generator, BatchedGenerator)
    forward, guesses = generator._forward, []
    assert forward is not None

    def counted(parts: list[Part]) -> torch.Tensor:
        guesses.append(sum(len(part.guess) for part in parts))
        return forward(parts)

    generator._forward = counted
    return generator, guesses


def tokens(generator: BatchedGenerator, prompt: list[int], **options: object) -> list[int]:
    events = generator.stream(prompt, GenerationOptions(**{"max_new_tokens": 120, "temperature": 0.0, **options}))
    return [token for event in events if isinstance(event, NewTokens) for token in event.ids]


def test_the_guess_is_what_followed_the_same_tokens_before() -> None:
    drafts = Drafts()
    assert drafts.guess([1, 2, 3, 4, 5, 6, 1, 2, 3], MOST) == [4, 5]
    assert Drafts().guess([1, 2, 3, 4, 5, 6], MOST) == []


def test_right_guesses_become_longer_and_wrong_ones_rest() -> None:
    drafts, ids = Drafts(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]
    drafts.confirmed(2, 2, len(ids))
    assert drafts.guess(ids, MOST) == [4, 5, 6, 7]
    drafts.confirmed(4, 0, len(ids))
    assert drafts.guess(ids, MOST) == []


def test_a_repeating_reply_takes_fewer_steps_and_is_the_same(llama_folder: Path) -> None:
    generator, guesses = lane(llama_folder)
    found = tokens(generator, PROMPT * 3)
    model = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32).eval()
    expected = model.generate(torch.tensor([PROMPT * 3]), max_new_tokens=120, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert found == expected[0, 30:].tolist()
    assert sum(guesses) > 0
    generator.close()


def test_a_drawn_reply_is_the_same_with_and_without_guesses(llama_folder: Path) -> None:
    generator, guesses = lane(llama_folder)
    options = {"temperature": 0.9, "seed": 3, "top_k": 2, "repetition_penalty": 1.05, "presence_penalty": -0.5}
    guessed = tokens(generator, PROMPT * 3, **options)
    assert sum(guesses) > 0
    generator._scheduler._guesses = False
    assert tokens(generator, PROMPT * 3, **options) == guessed
    generator.close()


def test_several_repeating_replies_at_once_equal_each_alone(llama_folder: Path) -> None:
    generator, guesses = lane(llama_folder)
    prompts = [PROMPT[number:] * 4 for number in range(3)]
    alone = [tokens(generator, prompt) for prompt in prompts]
    together: dict[int, list[int]] = {}
    threads = [threading.Thread(target=lambda n=number: together.update({n: tokens(generator, prompts[n])})) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(3)] == alone
    assert generator._cache is not None
    assert sum(guesses) > 0
    generator.close()


def test_a_guess_does_not_cross_the_length_after_which_a_text_is_rotated_anew(tmp_path: Path) -> None:
    family = next(each for each in FAMILIES if each.name == "Phi 3 LongRoPE")
    generator, guesses = lane(family.write(tmp_path / "model"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    model.generation_config = GenerationConfig()
    for period in range(4, 12):         # a reply that repeats its prompt is guessed, here across the limit
        prompt = (list(range(20, 20 + period)) * 16)[: LONG_ROPE_AFTER - 8]
        expected = model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False, pad_token_id=0)
        assert tokens(generator, prompt, max_new_tokens=24) == expected[0, len(prompt):].tolist()
    assert sum(guesses) > 0
    generator.close()
