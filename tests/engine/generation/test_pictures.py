"""Replies to pictures compared with transformers' own processor and generate(), on tiny models with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer

from engine import Engine, Finished, GenerationOptions, Message, ModelSpec, Settings, TextDelta
from engine.compat.processors import open_processor
from engine.errors import InvalidRequest
from engine.generation.base import NewTokens
from engine.generation.context import PICTURES_NOTE
from engine.pictures import Picture, picture_of
from tests.vision_models import FAMILIES, VisionFamily

GREEDY = GenerationOptions(max_new_tokens=16, temperature=0)
QUESTION = "hello world"


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    family: VisionFamily = request.param
    folder = family.write(tmp_path_factory.mktemp("vision"))
    engine = Engine(Settings(data_dir=tmp_path_factory.mktemp("data"), context_tokens=512))
    for _ in engine.load(ModelSpec(str(folder))):
        pass
    yield engine, folder
    engine.close()


def pictures(count: int, seed: int = 0) -> list[Picture]:
    """Of several sizes."""
    draw = torch.Generator().manual_seed(seed)
    return [picture_of(torch.randint(0, 256, (40, 50 + 30 * number, 3), generator=draw, dtype=torch.uint8).numpy(), f"{number}.png")
            for number in range(count)]


def expected(folder: Path, turns: list[tuple[list[Picture], str]]) -> str:
    """The last answer by transformers alone. turns: pictures and text of the user's first message, an answer, and so on."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = open_processor(folder, AutoConfig.from_pretrained(folder).model_type, tokenizer)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    chat = [{"role": ("user", "assistant")[number % 2], "content": [*({"type": "image"} for _ in shown), {"type": "text", "text": text}]}
            for number, (shown, text) in enumerate(turns)]
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    images = [picture.image() for shown, _ in turns for picture in shown]
    inputs = processor(text=prompt, images=images, return_tensors="pt", add_special_tokens=False)
    ids = model.generate(**inputs, max_new_tokens=GREEDY.max_new_tokens, do_sample=False)[0, inputs["input_ids"].shape[1]:]
    return whole(tokenizer.decode(ids, skip_special_tokens=True))


def whole(text: str) -> str:
    """Without half a character at the end."""
    return text.rstrip("\ufffd")


def answer(engine: Engine, *messages: Message) -> tuple[str, Finished]:
    events = list(engine.chat(messages, GREEDY))
    assert isinstance(events[-1], Finished)
    return whole("".join(event.text for event in events if isinstance(event, TextDelta))), events[-1]


def test_the_expected_forward_pass_computes_the_text(loaded: tuple[Engine, Path], request: pytest.FixtureRequest) -> None:
    family: VisionFamily = request.node.callspec.params["loaded"]
    with loaded[0].using() as model:
        assert f"{family.by} forward pass" in model.lane_reason


@pytest.mark.parametrize("count", [1, 3])
def test_an_answer_about_pictures_equals_transformers(loaded: tuple[Engine, Path], count: int) -> None:
    engine, folder = loaded
    shown = pictures(count)
    assert answer(engine, Message("user", QUESTION, pictures=shown))[0] == expected(folder, [(shown, QUESTION)])


def test_the_picture_matters(loaded: tuple[Engine, Path]) -> None:
    found = set()
    with loaded[0].using() as model:
        for seed in range(3):
            prompt = model.context.fit((Message("user", QUESTION, pictures=pictures(1, seed)),), 8)
            for event in model.stream_ids(prompt.ids, GenerationOptions(max_new_tokens=1, temperature=0, top_logprobs=0)):
                if isinstance(event, NewTokens):
                    found.add(event.scores[0].log_probability)
    assert len(found) == 3


def test_replies_with_and_without_pictures_run_together(loaded: tuple[Engine, Path]) -> None:
    engine, folder = loaded
    questions = [Message("user", QUESTION, pictures=pictures(number % 3, number)) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda question: answer(engine, question)[0], questions))
    assert found == [expected(folder, [(list(question.pictures), QUESTION)]) if question.pictures else answer(engine, question)[0]
                     for question in questions]


def test_the_next_turn_reads_only_its_text_and_the_vision_part_runs_once(loaded: tuple[Engine, Path]) -> None:
    engine, folder = loaded
    shown, runs = pictures(1, 77), []
    with engine.using() as model:
        modules = model.loaded.model.named_modules()
        part = next(module for name, module in modules if name.endswith(("vision_tower", "vision_model", "visual")))
        handle = part.register_forward_hook(lambda *_: runs.append(1))
        first, ended = answer(engine, Message("user", QUESTION, pictures=shown))
        turns = [(shown, QUESTION), ([], first), ([], "again")]
        second, later = answer(engine, Message("user", QUESTION, pictures=shown), Message("assistant", first), Message("user", "again"))
        handle.remove()
    assert len(runs) == 1
    assert later.usage.cached_tokens >= ended.usage.prompt_tokens // 16 * 16
    assert second == expected(folder, turns)


def test_a_penalty_counts_no_picture(loaded: tuple[Engine, Path]) -> None:
    engine, _ = loaded
    options = GenerationOptions(max_new_tokens=8, temperature=0, repetition_penalty=1.3, presence_penalty=0.5)
    events = list(engine.chat([Message("user", QUESTION, pictures=pictures(1))], options))
    assert isinstance(events[-1], Finished)


def test_the_token_of_a_picture_in_the_text_stays_text(loaded: tuple[Engine, Path]) -> None:
    engine, _ = loaded
    with engine.using() as model:
        assert not isinstance(model.context.reader, str)
        typed = f"what is {model.context.reader.placeholder}?"
        prompt = model.context.fit((Message("user", typed, pictures=pictures(1)),), 8)
        alone = model.context.fit((Message("user", typed),), 8)
    assert sum(token < 0 for token in prompt.ids) > 0
    assert min(alone.ids) >= 0
    assert typed in prompt.text


def test_a_prompt_with_a_picture_can_be_viewed(loaded: tuple[Engine, Path]) -> None:
    view = loaded[0].view_prompt([Message("user", QUESTION, pictures=pictures(1))], GREEDY)
    assert "[…]" in view.tokens
    assert QUESTION in view.text


def test_a_long_chat_drops_old_pictures_with_their_turns(loaded: tuple[Engine, Path]) -> None:
    engine, _ = loaded
    chat = [message for number in range(12) for message in (
        Message("user", "hello again " * 10, pictures=pictures(1, number)), Message("assistant", "the quick brown fox"))]
    _, ended = answer(engine, *chat, Message("user", QUESTION))
    assert ended.usage.dropped_messages > 0


def test_a_text_model_refuses_pictures_before_it_answers(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine()
    for _ in engine.load(ModelSpec(str(llama_folder))):
        pass
    with pytest.raises(InvalidRequest, match="it reads text only"):
        answer(engine, Message("user", QUESTION, pictures=pictures(1)))


def test_a_text_model_continues_a_chat_with_the_names_of_earlier_pictures(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    engine = new_engine()
    for _ in engine.load(ModelSpec(str(llama_folder))):
        pass
    chat = (Message("user", QUESTION, pictures=pictures(2)), Message("assistant", "the quick brown fox"), Message("user", "again"))
    view = engine.view_prompt(chat, GREEDY)
    assert f"[picture: 0.png]\n[picture: 1.png]\n{QUESTION}" in view.text
    assert PICTURES_NOTE in view.notes
    assert PICTURES_NOTE in answer(engine, *chat)[1].notes
    assert PICTURES_NOTE not in engine.view_prompt(chat[2:], GREEDY).notes


@pytest.mark.parametrize(("role", "count"), [("assistant", 1), ("system", 1), ("user", 9)])
def test_pictures_belong_to_messages_of_the_user_and_are_limited(role: str, count: int) -> None:
    with pytest.raises(InvalidRequest, match="pictures"):
        Message(role, QUESTION, pictures=pictures(1) * count)       # type: ignore[arg-type]
