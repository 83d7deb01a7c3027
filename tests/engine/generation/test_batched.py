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
from engine.errors import GenerationFailed, OutOfMemory
from tests.conftest import ask

QUESTIONS = [f"hello world number {i} " + "again " * (i * 3) for i in range(9)]


def reference(folder: Path, question: str, new_tokens: int) -> list[int]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True,
                                           return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)
    return list(output[0, inputs["input_ids"].shape[1]:].tolist())


def lane_ids(engine: Engine, question: str, new_tokens: int) -> list[int]:
    """The token ids of the lane itself, before they are decoded."""
    from engine.generation.base import NewTokens

    active_model = engine._active_model
    assert active_model is not None
    assert active_model._batched is not None
    prompt = active_model.context.fit([Message("user", question)], new_tokens)
    options = GenerationOptions(max_new_tokens=new_tokens, temperature=0.0)
    return [token for event in active_model._batched.stream(prompt.ids, options) if isinstance(event, NewTokens) for token in event.ids]


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
    active_model = llama_engine._active_model
    assert active_model is not None
    assert active_model._batched is not None
    with closing(llama_engine.chat([Message("user", "hello")], GenerationOptions(max_new_tokens=400, temperature=0.0))) as events:
        next(event for event in events if isinstance(event, TextDelta))
    scheduler = active_model._batched._scheduler()
    assert scheduler is not None
    deadline = time.monotonic() + 2
    while scheduler.active_requests and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not scheduler.active_requests
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


def test_a_stop_string_ends_the_reply(llama_engine: Engine) -> None:
    whole, _ = ask(llama_engine, "hello world")
    stop = whole[len(whole) // 2:][:3]
    cut, finished = ask(llama_engine, "hello world", stop=[stop])
    assert cut == whole[: whole.index(stop)]
    assert finished.reason == "stop"


def test_a_failed_generation_thread_ends_every_reply_and_the_next_message_works(
        new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine(llama_folder)
    expected = ask(engine, "hello")[0]
    errors: list[BaseException] = []
    began, died = threading.Semaphore(0), threading.Event()

    def wait_for_reply() -> None:
        try:
            for event in engine.chat([Message("user", "tell me")], GenerationOptions(max_new_tokens=450, temperature=1.0)):
                if isinstance(event, TextDelta):
                    began.release()
        except GenerationFailed as error:
            errors.append(error)
        if died.wait(5):
            errors.append(RuntimeError("late")) if time.monotonic() - killed[0] > 1 else None

    threads = [threading.Thread(target=wait_for_reply) for _ in range(3)]
    killed = [0.0]
    for thread in threads:
        thread.start()
    for _ in threads:
        began.acquire(timeout=10)
    active_model = engine._active_model
    assert active_model is not None
    assert active_model._batched is not None
    embedding = active_model._batched._manager.model.get_input_embeddings()
    hook = embedding.register_forward_pre_hook(_explode)     # the model fails in the middle of a step
    killed[0] = time.monotonic()
    for thread in threads:
        thread.join(timeout=1) if died.is_set() else None
    while len(errors) < 3 and time.monotonic() - killed[0] < 1:
        time.sleep(0.01)
    died.set()
    hook.remove()
    assert [type(error) for error in errors] == [GenerationFailed] * 3
    assert ask(engine, "hello")[0] == expected


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.3}], ids=["batched", "single"])
def test_out_of_memory_is_reported_and_the_next_message_works(llama_engine: Engine, options: dict[str, float]) -> None:
    active_model = llama_engine._active_model
    assert active_model is not None
    assert active_model._batched is not None
    hook = active_model._batched._manager.model.get_input_embeddings().register_forward_pre_hook(_run_out)
    with pytest.raises(OutOfMemory, match="ran out of memory"):
        ask(llama_engine, "hello", **options)
    hook.remove()
    assert ask(llama_engine, "hello", **options)[1].usage.new_tokens > 0


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
    from engine.errors import InvalidRequest

    with pytest.raises(InvalidRequest, match=next(iter(options))):
        ask(llama_engine, "hello", **options)
