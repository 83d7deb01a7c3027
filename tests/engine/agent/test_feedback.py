"""The agent's prompts: their size, where they are cut, and that they show no internals."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from engine import Message
from engine.agent.events import Attempt
from engine.agent.feedback import Exchange, answer_text, compact_error, error_key, fitted, head_and_tail, prompt, repair_text, task_text
from engine.agent.window import Window, rough_tokens
from engine.models.resolve import BUILTIN_FOLDER

TRACEBACK = '''Traceback (most recent call last):
  File "program.py", line 4, in <module>
    f(3)
  File "program.py", line 2, in f
    return x / zero
               ^^^^
NameError: name 'zero' is not defined. Did you mean: 'hero'?'''
LONG = Attempt("print(1)\n" * 10, "line of output\n" * 500, TRACEBACK)


@pytest.fixture(scope="module")
def builtin_tokens() -> object:
    return AutoTokenizer.from_pretrained(BUILTIN_FOLDER)


@pytest.mark.parametrize("name", ["system", "short"])
def test_the_prompt_has_at_most_250_tokens(name: str, builtin_tokens: object) -> None:
    assert len(builtin_tokens(prompt(name))["input_ids"]) <= 250     # type: ignore[operator]
    assert rough_tokens(prompt(name)) <= 250


def test_a_repair_prompt_has_the_task_program_output_and_error() -> None:
    text = repair_text(task_text("add it up"), Attempt("print(zero)", "so far\n", TRACEBACK))(1.0)
    for part in ("add it up", "```python\nprint(zero)\n```", "so far", "return x / zero", "NameError: name 'zero' is not defined"):
        assert part in text


def test_braces_in_a_program_are_not_changed() -> None:
    assert "{task} {x!r}" in repair_text(task_text("t"), Attempt("f'{task} {x!r}'", error="E"))(1.0)


def test_a_cut_is_announced_with_its_size() -> None:
    assert head_and_tail("a" * 50 + "b" * 100 + "c" * 50, 100) == "a" * 50 + "\n... 100 characters left out ...\n" + "c" * 50


def test_long_output_keeps_its_head_and_its_tail() -> None:
    text = repair_text(task_text("t"), Attempt("x", "first\n" + "line\n" * 5000 + "last\n", "E"))(1.0)
    assert "first\n" in text
    assert "last\n" in text
    assert "characters left out" in text
    assert len(text) < 2000


def test_marks_and_suggestions_are_left_out_of_an_error() -> None:
    assert compact_error(TRACEBACK) == '''Traceback (most recent call last):
  File "program.py", line 4, in <module>
    f(3)
  File "program.py", line 2, in f
    return x / zero
NameError: name 'zero' is not defined'''


def test_deep_recursion_shows_its_last_frames() -> None:
    frame = '  File "program.py", line 1, in g\n    def g(n): return g(n)\n'
    text = compact_error(f"Traceback (most recent call last):\n{frame * 30}RecursionError: too deep")
    assert "... 26 frames left out ..." in text
    assert text.count("line 1, in g") == 4


def test_an_error_is_the_same_whatever_its_line_number() -> None:
    assert error_key(TRACEBACK) == error_key(TRACEBACK.replace("line 2", "line 7"))
    assert error_key(TRACEBACK) != error_key(TRACEBACK.replace("zero", "other"))


def test_two_time_limits_are_the_same_error() -> None:
    stopped = 'Stopped after 5 s, the time limit. Variables are kept.\nTraceback (most recent call last):\n' \
              '  File "program.py", line {}, in <module>\n    {}\nKeyboardInterrupt'
    assert error_key(stopped.format(3, "i += 1")) == error_key(stopped.format(4, "j += 1"))


@pytest.mark.parametrize("tokens", [512, 768, 1024, 2048])
def test_a_repair_fits_a_small_window_and_leaves_room_for_the_program(tokens: int) -> None:
    past = [Exchange("an older task " * 20, "words", LONG)] * 5
    window = Window(tokens)
    messages = fitted(repair_text(task_text("add it up"), LONG), past, window, tokens // 4)
    assert window.size(messages) + tokens // 4 <= tokens
    assert "NameError: name 'zero' is not defined" in messages[-1].content
    assert LONG.code.strip() in messages[-1].content


def test_the_newest_tasks_are_kept_longest() -> None:
    past = [Exchange(f"task {number}", "words " * 200) for number in range(8)]
    messages = fitted(task_text("now"), past, Window(2048), 512)
    kept = [message.content for message in messages if message.role == "user"]
    assert kept == [f"task {number}" for number in range(8 - len(kept) + 1, 8)] + ["now"]
    assert 1 < len(kept) < 9


def test_a_large_window_keeps_everything() -> None:
    past = [Exchange("first", "words", Attempt("print(1)", "1\n"))]
    assert fitted(task_text("then"), past, Window(8192), 1024) == (
        Message("system", prompt("system")), Message("user", "first"),
        Message("assistant", "words\n\n```python\nprint(1)\n```\n\nIt printed:\n```\n1\n```"), Message("user", "then"))


def test_a_task_in_its_first_call_is_never_cut() -> None:
    task = "word " * 3000
    assert task.strip() in fitted(task_text(task), [], Window(512), 128)[-1].content


def test_the_explanation_call_asks_for_prose_only() -> None:
    text = answer_text(task_text("add it up"), Attempt("print(1)", "1\n"))(1.0)
    assert "add it up" in text
    assert "It printed:\n```\n1\n```" in text
    assert text.endswith("without code.")
