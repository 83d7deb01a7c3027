"""The batched lane compared with transformers' generate(), on the same fp32 weights."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import Engine, Finished, GenerationOptions, Message, TextDelta, Waiting
from engine.errors import GenerationFailed, InvalidRequest, OutOfMemory
from engine.generation.base import NewTokens
from engine.generation.batched import BatchedGenerator
from engine.generation.sampling import draw
from engine.generation.sequence import Sequence
from tests.conftest import ask

QUESTIONS = [f"hello world number {i} " + "again " * (i * 3) for i in range(9)]


def reference(folder: Path, question: str, new_tokens: int, **options: object) -> list[int]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True,
                                           return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False, **options)
    return list(output[0, inputs["input_ids"].shape[1]:].tolist())


def lane_ids(engine: Engine, question: str, new_tokens: int) -> list[int]:
    """The token ids of the lane itself, before they are decoded."""
    options = GenerationOptions(max_new_tokens=new_tokens, temperature=0.0)
    with engine.using() as active_model:
        prompt = active_model.context.fit([Message("user", question)], new_tokens)
        return [token for event in active_model.stream_ids(prompt.ids, options) if isinstance(event, NewTokens) for token in event.ids]


def lane_of(engine: Engine) -> BatchedGenerator:
    with engine.using() as active_model:
        generator = active_model._lane.generator
        assert isinstance(generator, BatchedGenerator)
        return generator


def test_greedy_equals_generate_token_for_token(llama_engine: Engine, llama_folder: Path) -> None:
    assert lane_ids(llama_engine, QUESTIONS[4], 40) == reference(llama_folder, QUESTIONS[4], 40)


def test_greedy_equals_generate_among_eight_others(llama_engine: Engine, llama_folder: Path) -> None:
    results: dict[str, list[int]] = {}
    threads = [threading.Thread(target=lambda q=question: results.update({q: lane_ids(llama_engine, q, 40)}))
               for question in QUESTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {question: reference(llama_folder, question, 40) for question in QUESTIONS}


def test_a_repetition_penalty_equals_that_of_generate(llama_engine: Engine, llama_folder: Path) -> None:
    text, finished = ask(llama_engine, "hello world", max_new_tokens=80, repetition_penalty=1.3)
    expected = reference(llama_folder, "hello world", 80, repetition_penalty=1.3)
    assert text == AutoTokenizer.from_pretrained(llama_folder).decode(expected, skip_special_tokens=True)
    assert finished.notes == ()


def test_a_seed_repeats_a_sampled_reply(llama_engine: Engine) -> None:
    options = {"temperature": 1.5, "max_new_tokens": 70}
    first, second, other = (ask(llama_engine, "hello", seed=seed, **options)[0] for seed in (5, 5, 6))
    assert first == second != other


def test_a_seed_repeats_its_reply_beside_other_replies(llama_engine: Engine) -> None:
    options = {"temperature": 1.5, "max_new_tokens": 70, "seed": 5, "min_p": 0.01, "presence_penalty": 0.5}
    alone, _ = ask(llama_engine, "hello", **options)
    other = threading.Thread(target=ask, args=(llama_engine, "noise"), kwargs={"temperature": 2.0, "max_new_tokens": 300})
    other.start()
    beside, _ = ask(llama_engine, "hello", **options)
    other.join()
    assert beside == alone


def test_a_running_reply_continues_correctly_after_a_pause(llama_engine: Engine) -> None:
    expected = lane_ids(llama_engine, "hello world", 200)
    results: list[list[int]] = []
    running = threading.Thread(target=lambda: results.append(lane_ids(llama_engine, "hello world", 200)))
    running.start()
    with llama_engine.using() as active_model:
        for _ in range(5):
            with active_model.alone() as loaded, torch.no_grad():
                loaded.model(input_ids=torch.tensor([[5, 6, 7]]))
    running.join()
    assert results == [expected]


def test_nine_simultaneous_messages_each_get_their_own_reply(llama_engine: Engine) -> None:
    alone = {question: ask(llama_engine, question)[0] for question in QUESTIONS}
    together: dict[str, str] = {}
    threads = [threading.Thread(target=lambda q=question: together.update({q: ask(llama_engine, q)[0]})) for question in QUESTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_shared_prefix_is_not_processed_again(llama_engine: Engine) -> None:
    question = "a question that nobody asked before " * 6
    _, first = ask(llama_engine, question + "one")
    _, second = ask(llama_engine, question + "two")
    assert first.usage.cached_tokens < second.usage.cached_tokens
    assert second.usage.cached_tokens > second.usage.prompt_tokens // 2


def test_closing_the_stream_cancels_within_a_step(llama_engine: Engine) -> None:
    with closing(llama_engine.chat([Message("user", "hello")], GenerationOptions(max_new_tokens=400, temperature=0.0))) as events:
        next(event for event in events if isinstance(event, TextDelta))
    scheduler = lane_of(llama_engine)._scheduler
    deadline = time.monotonic() + 10
    while not scheduler.is_idle and time.monotonic() < deadline:
        time.sleep(0.01)
    assert scheduler.is_idle
    assert llama_engine.admission.num_leases == 0


def test_new_tokens_are_limited_by_the_window(llama_engine: Engine) -> None:
    _, finished = ask(llama_engine, "hello " * 60, max_new_tokens=5000)
    assert finished.usage.prompt_tokens + finished.usage.new_tokens <= 512
    assert finished.reason in ("length", "stop")


def test_sampling_differs_between_replies(llama_engine: Engine) -> None:
    replies = {ask(llama_engine, "hello", temperature=2.0, max_new_tokens=20)[0] for _ in range(4)}
    assert len(replies) > 1


def test_greedy_and_sampled_replies_can_run_together(llama_engine: Engine) -> None:
    expected = ask(llama_engine, "hello world")[0]
    results: list[str] = []
    sampled = threading.Thread(target=ask, args=(llama_engine, "other"), kwargs={"temperature": 3.0, "max_new_tokens": 200})
    sampled.start()
    results.append(ask(llama_engine, "hello world")[0])
    sampled.join()
    assert results == [expected]


def test_a_reply_holds_blocks_until_it_ends(llama_engine: Engine) -> None:
    options = GenerationOptions(max_new_tokens=400, temperature=0.0, ignores_end=True)
    with llama_engine.using() as active_model:
        with closing(active_model.stream_ids([5, 6, 7], options)) as events:
            next(event for event in events if isinstance(event, NewTokens))
            held, every = active_model.cache_use
            assert 0 < held < every
        deadline = time.monotonic() + 10
        while active_model.cache_use != (0, every) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert active_model.cache_use == (0, every)


def test_a_stop_string_ends_the_reply(llama_engine: Engine) -> None:
    whole, _ = ask(llama_engine, "hello world")
    stop = whole[len(whole) // 2:][:3]
    cut, finished = ask(llama_engine, "hello world", stop=[stop])
    assert cut == whole[: whole.index(stop)]
    assert finished.reason == "stop"


def test_a_step_that_fails_ends_every_reply_with_an_error_and_the_next_message_works(
        new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine(llama_folder)
    expected = ask(engine, "hello")[0]
    errors: list[BaseException] = []
    began = threading.Semaphore(0)

    def wait_for_reply() -> None:
        try:
            for event in engine.chat([Message("user", "tell me")], GenerationOptions(max_new_tokens=450, ignores_end=True)):
                if isinstance(event, TextDelta):
                    began.release()
        except GenerationFailed as error:
            errors.append(error)

    threads = [threading.Thread(target=wait_for_reply) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        began.acquire(timeout=30)
    with engine.using() as active_model:
        hook = active_model.loaded.model.get_input_embeddings().register_forward_pre_hook(_explode)   # in the middle of a step
    for thread in threads:
        thread.join()
    hook.remove()
    assert [type(error) for error in errors] == [GenerationFailed] * 3
    assert ask(engine, "hello")[0] == expected


def test_an_error_of_one_reply_leaves_the_others_running(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine(llama_folder)
    with engine.using() as active_model:
        poison = active_model.encode("~")[0]

        def fail_on_poison(module: object, arguments: tuple[torch.Tensor, ...]) -> None:
            if (arguments[0] == poison).any():
                raise RuntimeError("this token breaks the step")

        alone = lane_ids(engine, "hello", 60)
        results: list[list[int]] = []
        active_model.loaded.model.get_input_embeddings().register_forward_pre_hook(fail_on_poison)
        neighbour = threading.Thread(target=lambda: results.append(lane_ids(engine, "hello", 60)))
        neighbour.start()
        with pytest.raises(GenerationFailed, match="this token breaks"):
            for _ in active_model.stream_ids([poison], GenerationOptions(max_new_tokens=4, temperature=0.0)):
                pass
        neighbour.join()
    assert results == [alone]


def test_a_reply_whose_token_cannot_be_drawn_fails_alone(llama_engine: Engine) -> None:
    def reply(seed: int) -> Sequence:
        return Sequence([1], 1, GenerationOptions(temperature=1.0, seed=seed, repetition_penalty=1.1), frozenset())

    fine, odd, logits = reply(5), reply(6), torch.randn(2, 50)
    expected = draw(logits[:1], [reply(5)])
    odd.seen = odd.counts = torch.zeros(3)      # of another vocabulary
    drawn = lane_of(llama_engine)._drawn(logits, [fine, odd])
    assert drawn[:1] == expected
    assert isinstance(drawn[1], GenerationFailed)


def test_a_token_that_the_model_does_not_know_is_refused_by_its_number(llama_engine: Engine) -> None:
    with llama_engine.using() as active_model, pytest.raises(InvalidRequest, match="999999"):
        next(active_model.stream_ids([1, 999999], GenerationOptions(max_new_tokens=4)))


def test_out_of_memory_is_reported_and_the_next_message_works(llama_engine: Engine) -> None:
    with llama_engine.using() as active_model:
        hook = active_model.loaded.model.get_input_embeddings().register_forward_pre_hook(_run_out)
    with pytest.raises(OutOfMemory, match="ran out of memory"):
        ask(llama_engine, "hello")
    hook.remove()
    assert ask(llama_engine, "hello")[1].usage.new_tokens > 0


def _run_out(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def _explode(*_: object) -> None:
    raise RuntimeError("broken on purpose")


def test_events_come_often_while_waiting(llama_engine: Engine) -> None:
    last = time.monotonic()
    gaps = []
    for event in llama_engine.chat([Message("user", "hello " * 80)], GenerationOptions(max_new_tokens=64, temperature=0.0)):
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
        assert isinstance(event, (Waiting, TextDelta, Finished)) or event is not None
    assert max(gaps) < 2        # generous for a busy machine: the heartbeat is 0.1 s


@pytest.mark.parametrize("options", [{"temperature": -1}, {"top_p": 2.0}, {"max_new_tokens": 0}, {"top_k": -3}, {"stop": [""]}])
def test_invalid_options_are_refused_by_name(llama_engine: Engine, options: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(options))):
        ask(llama_engine, "hello", **options)
