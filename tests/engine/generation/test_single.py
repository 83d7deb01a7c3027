"""The single lane: generate(), one reply at a time."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import Engine, GenerationOptions
from engine.generation.base import NewTokens
from engine.generation.single import SingleGenerator
from tests.conftest import ask


def reference(folder: Path, question: str, **options: object) -> str:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True,
                                           return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=80, do_sample=False, **options)
    return str(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))


def one_at_a_time(folder: Path) -> SingleGenerator:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return SingleGenerator(model, 512, frozenset(), 0, can_slice=True)


def ids_of(lane: SingleGenerator, prompt: list[int], **options: object) -> tuple[list[int], int]:
    """The new tokens, and how many of the prompt were cached."""
    tokens = [event for event in lane.stream(prompt, GenerationOptions(**{"temperature": 0.0, "max_new_tokens": 40, **options}))
              if isinstance(event, NewTokens)]
    return [token for each in tokens for token in each.ids], tokens[0].cached_tokens


def test_a_reply_equals_generate_with_the_cache_of_another_one(llama_folder: Path) -> None:
    lane, prompt = one_at_a_time(llama_folder), list(range(5, 60))
    ids_of(lane, [*prompt, 7, 8, 9])
    again, cached = ids_of(lane, [*prompt, 70], repetition_penalty=1.3)
    assert cached == len(prompt)
    model = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32).eval()
    expected = model.generate(torch.tensor([[*prompt, 70]]), max_new_tokens=40, do_sample=False, repetition_penalty=1.3, eos_token_id=None)
    assert again == expected[0, len(prompt) + 1:].tolist()


def test_a_seed_repeats_a_sampled_reply(llama_folder: Path) -> None:
    lane = one_at_a_time(llama_folder)
    first, second, other = (ids_of(lane, [5, 6, 7], temperature=1.5, seed=seed)[0] for seed in (5, 5, 6))
    assert first == second != other


def test_closing_a_stream_stops_its_reply(llama_folder: Path) -> None:
    lane = one_at_a_time(llama_folder)
    events = lane.stream([5, 6, 7], GenerationOptions(max_new_tokens=400, temperature=0.0))
    next(event for event in events if isinstance(event, NewTokens))
    events.close()
    assert len(ids_of(lane, [5, 6, 7])[0]) == 40


def test_a_recurrent_model_runs_in_the_single_lane_with_the_reason(new_engine: Callable[..., Engine], mamba_folder: Path) -> None:
    engine = new_engine(mamba_folder)
    status = engine.status()
    assert status.lane == "single"
    assert "mamba" in status.lane_reason
    text, _ = ask(engine, "hello world", max_new_tokens=80)
    assert text == reference(mamba_folder, "hello world")
    assert ask(engine, "hello world", max_new_tokens=80)[0] == text


def test_a_model_without_template_gets_plain_lines(new_engine: Callable[..., Engine], gpt2_folder: Path) -> None:
    _, finished = ask(new_engine(gpt2_folder), "hello", system="be kind")
    assert any("no chat template" in note for note in finished.notes)
    assert finished.usage.prompt_tokens > 0
