"""The single lane: options that cannot be batched, and a recurrent model."""

import threading
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import Engine, Finished, GenerationOptions, Message, TextDelta
from tests.conftest import ask, exhaust

SINGLE = {"repetition_penalty": 1.3}


def reference(folder: Path, question: str, **options: object) -> str:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True,
                                           return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=80, do_sample=False, **options)
    return str(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))


def test_repetition_penalty_equals_generate_across_slices(llama_engine: Engine, llama_folder: Path) -> None:
    text, finished = ask(llama_engine, "hello world", max_new_tokens=80, **SINGLE)
    assert text == reference(llama_folder, "hello world", **SINGLE)
    assert any("single lane" in note and "repetition penalty" in note for note in finished.notes)


def test_the_next_turn_reuses_the_cache(llama_engine: Engine) -> None:
    first, _ = ask(llama_engine, "hello world again", **SINGLE)
    messages = [Message("user", "hello world again"), Message("assistant", first), Message("user", "more")]
    last = exhaust(llama_engine.chat(messages, GenerationOptions(max_new_tokens=8, temperature=0.0, **SINGLE)))[-1]
    assert isinstance(last, Finished)
    assert last.usage.cached_tokens > 10


def test_an_edited_message_reuses_the_common_prefix_and_gets_the_right_reply(llama_engine: Engine, llama_folder: Path) -> None:
    beginning = "the quick brown fox jumps over the lazy dog and "
    ask(llama_engine, beginning + "hello", **SINGLE)
    text, finished = ask(llama_engine, beginning + "world", max_new_tokens=80, **SINGLE)
    assert finished.usage.cached_tokens > 10
    assert text == reference(llama_folder, beginning + "world", **SINGLE)


def test_a_seed_repeats_a_sampled_reply(llama_engine: Engine) -> None:
    options = {"temperature": 1.5, "max_new_tokens": 70}
    first, second, other = (ask(llama_engine, "hello", seed=seed, **options)[0] for seed in (5, 5, 6))
    assert first == second != other


def test_a_seed_repeats_its_reply_beside_other_replies(llama_engine: Engine) -> None:
    options = {"temperature": 1.5, "max_new_tokens": 70, "seed": 5}
    alone, _ = ask(llama_engine, "hello", **options)
    other = threading.Thread(target=ask, args=(llama_engine, "noise"), kwargs={"temperature": 2.0, "max_new_tokens": 300})
    other.start()
    beside, _ = ask(llama_engine, "hello", **options)
    other.join()
    assert beside == alone


def test_min_p_runs_in_the_single_lane_with_a_note(llama_engine: Engine) -> None:
    _, finished = ask(llama_engine, "hello", temperature=1.0, min_p=0.2)
    assert any("min-p" in note for note in finished.notes)


def test_a_batched_reply_continues_correctly_after_a_pause(llama_engine: Engine) -> None:
    expected, _ = ask(llama_engine, "hello world", max_new_tokens=200)
    results: list[str] = []
    batched = threading.Thread(target=lambda: results.append(ask(llama_engine, "hello world", max_new_tokens=200)[0]))
    batched.start()
    ask(llama_engine, "other", max_new_tokens=100, **SINGLE)
    batched.join()
    assert results == [expected]


def test_closing_stops_the_single_lane(llama_engine: Engine) -> None:
    events = llama_engine.chat([Message("user", "hello")], GenerationOptions(max_new_tokens=400, temperature=0.0, **SINGLE))
    next(event for event in events if isinstance(event, TextDelta))
    events.close()      # type: ignore[attr-defined]
    _, finished = ask(llama_engine, "next", **SINGLE)
    assert finished.usage.new_tokens > 0
    assert finished.usage.ttft_s < 5


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
