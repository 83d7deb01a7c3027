"""The rules of the loop, each with a model that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine import Finished, ReasoningDelta, TextDelta, Usage
from engine.agent.code_agent import CodeAgent
from engine.agent.events import Attempt, CodeWritten, FileProduced, Final, Running, Stdout, StepEnded, StepError, Stopped, Thinking, Writing
from engine.agent.window import Window
from engine.errors import GenerationFailed, InvalidRequest, MessageTooLong, SandboxUnavailable

from .conftest import BAD, GOOD, WORSE, ScriptedModel, UnconfinedSandbox, kinds, of_kind

NewAgent = Callable[..., CodeAgent]
USAGE = Usage(10, 0, 5, 0.0, 0.0)


def test_a_failed_call_a_repair_and_an_explanation_are_three_model_calls(new_agent: NewAgent) -> None:
    model = ScriptedModel(BAD, GOOD, "The answer is 42.")
    final = list(new_agent(model).stream("six times seven"))[-1]
    assert model.calls == 3
    assert final == Final("The answer is 42.", "clean_run", "print(6 * 7)", "42\n")


def test_a_first_clean_run_with_prose_takes_one_model_call(new_agent: NewAgent) -> None:
    model = ScriptedModel(f"Here is the product:\n\n{GOOD}")
    final = list(new_agent(model).stream("six times seven"))[-1]
    assert model.calls == 1
    assert isinstance(final, Final)
    assert final.text == "Here is the product:\n\n```\n42\n```"


def test_a_reply_without_a_program_is_the_answer(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    model = ScriptedModel("Paris. No program is needed.")
    assert list(new_agent(model).stream("capital of France?"))[-1] == Final("Paris. No program is needed.", "answer")
    assert (model.calls, sandbox.ran) == (1, [])


def test_a_reply_without_a_program_after_an_error_is_the_answer(new_agent: NewAgent) -> None:
    model = ScriptedModel(BAD, "This cannot be computed.")
    assert list(new_agent(model).stream("x"))[-1] == Final("This cannot be computed.", "answer")


def test_a_program_in_the_explanation_is_not_run(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    final = list(new_agent(ScriptedModel(GOOD, f"It is 42.\n{WORSE}")).stream("x"))[-1]
    assert final == Final("It is 42.", "clean_run", "print(6 * 7)", "42\n")
    assert len(sandbox.ran) == 1


def test_the_events_of_a_step_come_in_order(new_agent: NewAgent) -> None:
    events = list(new_agent(ScriptedModel(BAD, f"Fixed.\n{GOOD}")).stream("x"))
    seen = [kind for kind in kinds(events) if kind not in ("Writing", "Waiting")]
    assert seen == ["StepStarted", "CodeWritten", "Running", "StepError", "StepEnded",
                    "StepStarted", "CodeWritten", "Running", "Stdout", "StepEnded", "Final"]


def test_a_step_reports_its_tokens_and_calls(new_agent: NewAgent) -> None:
    ended = of_kind(list(new_agent(ScriptedModel(BAD, f"Fixed.\n{GOOD}")).stream("x")), StepEnded)
    assert [(event.step, event.tokens, event.calls) for event in ended] == [(1, 5, 1), (2, 5, 1)]     # type: ignore[attr-defined]


def test_the_reply_is_streamed_as_it_is_written(new_agent: NewAgent) -> None:
    reply = f"Look:\n{GOOD}"
    assert "".join(event.text for event in of_kind(list(new_agent(ScriptedModel(reply)).stream("x")), Writing)) == reply    # type: ignore[attr-defined]


# --- limits ---

def failing(number: int) -> str:
    return f"```python\nprint(name_{number})\n```"


@pytest.mark.parametrize(("max_repairs", "calls"), [(0, 1), (1, 2), (2, 3)])
def test_the_model_is_asked_for_at_most_the_allowed_repairs(new_agent: NewAgent, max_repairs: int, calls: int) -> None:
    model = ScriptedModel(*map(failing, range(9)))
    stopped = list(new_agent(model, max_repairs=max_repairs).stream("x"))[-1]
    assert isinstance(stopped, Stopped)
    assert (model.calls, stopped.reason) == (calls, "repair_limit" if max_repairs else "failed")


def test_two_repairs_are_the_default(new_agent: NewAgent) -> None:
    model = ScriptedModel(*map(failing, range(9)))
    list(new_agent(model).stream("x"))
    assert model.calls == 3


def test_the_same_program_again_is_not_run_again(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    again = "```python\n# now it will work\n\nprint( undefined )\n```"
    stopped = list(new_agent(ScriptedModel(BAD, again)).stream("x"))[-1]
    assert isinstance(stopped, Stopped)
    assert (stopped.reason, len(sandbox.ran)) == ("repeated_program", 1)


def test_the_same_error_again_ends_the_repairs(new_agent: NewAgent) -> None:
    moved = "```python\nx = 1\n\nprint(undefined)\n```"
    model = ScriptedModel(BAD, moved, GOOD)
    stopped = list(new_agent(model).stream("x"))[-1]
    assert isinstance(stopped, Stopped)
    assert (stopped.reason, model.calls) == ("repeated_error", 2)


def test_the_same_kind_of_error_in_another_line_is_progress(new_agent: NewAgent) -> None:
    model = ScriptedModel(failing(1), failing(2), f"Done.\n{GOOD}")
    assert isinstance(list(new_agent(model).stream("x"))[-1], Final)


def test_the_best_attempt_is_the_one_that_got_furthest(new_agent: NewAgent) -> None:
    broken, far = "```python\nprint(1\n```", "```python\nprint('first')\nprint('second')\nprint(unknown)\n```"
    stopped = list(new_agent(ScriptedModel(broken, far, WORSE)).stream("x"))[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.best is not None
    assert stopped.best.stdout == "first\nsecond\n"


def test_an_earlier_clean_run_is_better_than_a_later_failure(new_agent: NewAgent) -> None:
    agent = new_agent(ScriptedModel(f"Here.\n{GOOD}"))
    list(agent.stream("x"))
    stopped = list(agent.run("print('a'); print('b'); 1 / 0"))[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.best is not None
    assert stopped.best.stdout == "42\n"


def test_an_empty_reply_is_reported(new_agent: NewAgent) -> None:
    assert list(new_agent(ScriptedModel("  \n")).stream("x"))[-1] == Stopped("empty_reply")


def test_every_reason_has_a_sentence_and_the_text_shows_the_best_attempt(new_agent: NewAgent) -> None:
    stopped = list(new_agent(ScriptedModel(BAD), max_repairs=0).stream("x"))[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.full_text.startswith("The program failed.\n\n```python\nprint(undefined)\n```\n\n```\nTraceback")


# --- cut-off replies ---

def test_a_cut_off_program_is_continued_once(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    model = ScriptedModel(("Here it is:\n```python\nprint(6 *", "length"), " 7)\n```\n")
    assert list(new_agent(model).stream("x"))[-1] == Final("Here it is:", "clean_run", "print(6 * 7)", "42\n")
    assert model.asked[1][-1].role == "assistant"
    assert model.asked[1][-1].content == "Here it is:\n```python\nprint(6 *"


def test_a_program_that_is_cut_at_the_end_of_a_line_is_continued_too(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    model = ScriptedModel(("Sum:\n```python\ntotal = 0\n", "length"), "print(total)\n```")
    list(new_agent(model).stream("x"))
    assert sandbox.ran == ["total = 0\nprint(total)"]


def test_a_program_that_is_cut_twice_is_not_run(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    model = ScriptedModel(("```python\nprint(6", "length"), (" * 7", "length"), "never")
    stopped = list(new_agent(model).stream("x"))[-1]
    assert isinstance(stopped, Stopped)
    assert (stopped.reason, model.calls, sandbox.ran) == ("cut_off", 2, [])


def test_a_missing_last_fence_costs_no_call(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    model = ScriptedModel("Here:\n```python\nprint(6 * 7)")
    assert list(new_agent(model).stream("x"))[-1] == Final("Here:", "clean_run", "print(6 * 7)", "42\n")
    assert model.calls == 1


def test_prose_that_is_cut_after_a_complete_program_does_no_harm(new_agent: NewAgent) -> None:
    model = ScriptedModel((f"Look:\n{GOOD}\nThis program multip", "length"))
    assert isinstance(list(new_agent(model).stream("x"))[-1], Final)
    assert model.calls == 1


def test_a_reply_that_fills_the_window_is_cut_off_and_raises_nothing(new_agent: NewAgent) -> None:
    model = ScriptedModel(("```python\nprint(6", "length"), MessageTooLong(600, 496))
    assert list(new_agent(model).stream("x"))[-1].reason == "cut_off"     # type: ignore[union-attr]


# --- thoughts ---

def test_a_program_in_the_thoughts_is_never_run(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    reply = [ReasoningDelta(f"Maybe {WORSE}"), TextDelta("It is 42."), Finished("stop", USAGE)]
    events = list(new_agent(ScriptedModel(reply)).stream("x"))
    assert (events[-1], sandbox.ran) == (Final("It is 42.", "answer"), [])


def test_thoughts_that_a_server_left_in_the_text_are_split_off(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    events = list(new_agent(ScriptedModel(f"<think>Maybe\n{WORSE}\n</think>It is 42.")).stream("x"))
    assert (events[-1], sandbox.ran) == (Final("It is 42.", "answer"), [])
    assert "missing_module" in "".join(event.text for event in of_kind(events, Thinking))  # type: ignore[attr-defined]


def test_thoughts_that_use_up_all_tokens_are_cut_off_and_not_continued(new_agent: NewAgent) -> None:
    model = ScriptedModel([ReasoningDelta("hmm " * 9), Finished("length", USAGE)])
    assert list(new_agent(model).stream("x"))[-1].reason == "cut_off"     # type: ignore[union-attr]
    assert model.calls == 1


# --- what runs ---

def test_output_errors_and_files_are_events(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    code = "print('saved')\nopen('out.csv', 'w').write('a,b')\n1 / 0"
    events = list(new_agent(ScriptedModel(f"```python\n{code}\n```"), max_repairs=0).stream("x"))
    assert of_kind(events, Stdout) == [Stdout("saved\n")]
    assert of_kind(events, FileProduced) == [FileProduced("out.csv", str(sandbox.folder / "out.csv"), 3)]
    assert of_kind(events, StepError)[0].text.endswith("ZeroDivisionError: division by zero")    # type: ignore[attr-defined]


def test_uploaded_files_are_in_the_work_folder_and_in_the_prompt(new_agent: NewAgent, tmp_path: Path) -> None:
    (tmp_path / "tea.csv").write_text("name,price\nassam,3\n")
    model = ScriptedModel("Reads it.\n```python\nprint(open('tea.csv').read().count('assam'))\n```")
    final = list(new_agent(model).stream("how many rows?", [tmp_path / "tea.csv"]))[-1]
    assert isinstance(final, Final)
    assert final.stdout == "1\n"
    assert "tea.csv, which begins:\n```\nname,price\nassam,3\n```" in model.asked[0][-1].content


def test_an_upload_replaces_a_link_that_a_program_left(new_agent: NewAgent, sandbox: UnconfinedSandbox, tmp_path: Path) -> None:
    (precious := tmp_path / "precious").write_text("mine")
    (sandbox.folder / "tea.csv").symlink_to(precious)
    (tmp_path / "tea.csv").write_text("name,price\n")
    list(new_agent(ScriptedModel("Nothing to do.")).stream("x", [tmp_path / "tea.csv"]))
    assert precious.read_text() == "mine"
    assert (sandbox.folder / "tea.csv").read_text() == "name,price\n"


def test_without_a_sandbox_the_program_is_shown_and_not_run() -> None:
    class NoBox:
        @property
        def folder(self) -> Path:
            raise SandboxUnavailable("no kernel locks")

        def reset(self) -> None: ...

        def stream(self, code: str, timeout_s: float) -> object:
            raise SandboxUnavailable("no kernel locks")

    stopped = list(CodeAgent(ScriptedModel(f"Here:\n{GOOD}"), NoBox()).stream("x"))[-1]     # type: ignore[arg-type]
    assert isinstance(stopped, Stopped)
    assert (stopped.reason, stopped.best) == ("no_sandbox", Attempt("print(6 * 7)", has_run=False))
    assert "no kernel locks" in stopped.sentence


# --- a person in between ---

def test_a_program_waits_for_approval_and_then_continues_as_usual(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    model = ScriptedModel(f"Look.\n{BAD}", f"Fixed.\n{GOOD}")
    agent = new_agent(model, approve_first=True)
    assert list(agent.stream("x"))[-1] == Stopped("approval", Attempt("print(undefined)", has_run=False))
    assert sandbox.ran == []
    assert list(agent.run("print(undefined)", max_repairs=2))[-1] == Stopped("approval", Attempt("print(6 * 7)", has_run=False))
    assert sandbox.ran == ["print(undefined)"]
    assert list(agent.run("print(6 * 7)"))[-1] == Final("Fixed.", "clean_run", "print(6 * 7)", "42\n")


def test_an_edited_program_runs_without_the_model(new_agent: NewAgent) -> None:
    model = ScriptedModel(GOOD, "It is 42.")
    agent = new_agent(model)
    list(agent.stream("x"))
    events = list(agent.run("print('edited')"))
    assert isinstance(events[-1], Final)
    assert (events[-1].stdout, model.calls) == ("edited\n", 2)


def test_the_model_repairs_an_edited_program_when_asked(new_agent: NewAgent) -> None:
    model = ScriptedModel(f"Look.\n{GOOD}", "Fixed.\n```python\nprint('mended')\n```")
    agent = new_agent(model)
    list(agent.stream("print something"))
    final = list(agent.run("prnt('edited')", max_repairs=1))[-1]
    assert isinstance(final, Final)
    assert final.stdout == "mended\n"
    assert "print something" in model.asked[1][-1].content
    assert "prnt('edited')" in model.asked[1][-1].content


def test_prose_about_the_original_program_is_not_shown_with_an_edited_one(new_agent: NewAgent) -> None:
    agent = new_agent(ScriptedModel(f"It multiplies.\n{GOOD}"))
    list(agent.stream("x"))
    assert list(agent.run("print(6 + 7)"))[-1] == Final("", "clean_run", "print(6 + 7)", "13\n")


def test_resume_repairs_again_with_sampled_replies(new_agent: NewAgent) -> None:
    model = ScriptedModel(failing(1), failing(2), f"Done.\n{GOOD}")
    agent = new_agent(model, max_repairs=1)
    assert list(agent.stream("x"))[-1].reason == "repair_limit"    # type: ignore[union-attr]
    assert isinstance(list(agent.resume())[-1], Final)
    assert [options.temperature for options in model.options] == [0, 0, 0.7]


def test_there_is_nothing_to_resume_after_an_answer(new_agent: NewAgent) -> None:
    agent = new_agent(ScriptedModel("Paris."))
    list(agent.stream("x"))
    with pytest.raises(InvalidRequest):
        agent.resume()


# --- the conversation ---

def test_a_follow_up_sees_the_last_program_and_its_result(new_agent: NewAgent) -> None:
    model = ScriptedModel(BAD, f"Fixed.\n{GOOD}", "Twice that is 84.")
    agent = new_agent(model)
    list(agent.stream("six times seven"))
    list(agent.stream("and twice that?"))
    _, task, reply, follow_up = model.asked[-1]
    assert (task.content, follow_up.content) == ("six times seven", "and twice that?")
    assert reply.content == f"Fixed.\n\n{GOOD}\n\nIt printed:\n```\n42\n```"


def test_a_follow_up_sees_how_the_last_program_failed(new_agent: NewAgent) -> None:
    model = ScriptedModel(f"Look.\n{BAD}", "I see.")
    agent = new_agent(model, max_repairs=0)
    list(agent.stream("x"))
    list(agent.stream("why?"))
    assert model.asked[-1][2].content.startswith(f"Look.\n\n{BAD}\n\nIt failed:\n```\nTraceback")


def test_failed_attempts_do_not_pile_up_in_the_prompt(new_agent: NewAgent) -> None:
    model = ScriptedModel(failing(1), failing(2), f"Done.\n{GOOD}")
    list(new_agent(model).stream("x"))
    assert [len(messages) for messages in model.asked] == [2, 2, 2]
    assert "name_1" not in model.asked[-1][-1].content


def test_an_agent_continues_from_the_history_of_another(new_agent: NewAgent, sandbox: UnconfinedSandbox) -> None:
    first = new_agent(ScriptedModel(f"Look.\n{GOOD}"))
    list(first.stream("six times seven"))
    model = ScriptedModel("84.")
    list(CodeAgent(model, sandbox, history=first.history).stream("twice?"))
    assert "print(6 * 7)" in model.asked[0][2].content


def test_an_empty_task_is_refused(new_agent: NewAgent) -> None:
    with pytest.raises(InvalidRequest):
        new_agent(ScriptedModel()).stream("  ")


def test_an_engine_error_is_raised_unchanged(new_agent: NewAgent) -> None:
    with pytest.raises(GenerationFailed):
        list(new_agent(ScriptedModel(GenerationFailed("no more memory."))).stream("x"))


def test_a_task_that_is_too_long_raises_the_engines_error(new_agent: NewAgent) -> None:
    refusal = MessageTooLong(5000, 496)
    with pytest.raises(MessageTooLong):
        list(new_agent(ScriptedModel(refusal, refusal)).stream("long " * 5000))


def test_a_repair_that_cannot_fit_keeps_the_best_attempt(new_agent: NewAgent) -> None:
    model = ScriptedModel(BAD, MessageTooLong(600, 496), MessageTooLong(600, 496))
    stopped = list(new_agent(model).stream("x"))[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.reason == "window"
    assert stopped.best is not None


def test_a_clean_run_is_the_answer_even_if_an_explanation_no_longer_fits(new_agent: NewAgent) -> None:
    refusal = MessageTooLong(600, 496)
    assert list(new_agent(ScriptedModel(GOOD, refusal, refusal)).stream("x"))[-1] == Final("", "clean_run", "print(6 * 7)", "42\n")


def test_a_refusal_reveals_the_window_and_the_call_is_repeated(new_agent: NewAgent) -> None:
    model = ScriptedModel(MessageTooLong(900, 496), "Paris.")
    agent = new_agent(model, window=Window(8192))
    assert isinstance(list(agent.stream("capital of France?"))[-1], Final)
    assert len(model.asked[1][0].content) < len(model.asked[0][0].content)


def test_process_returns_prose_program_and_output(new_agent: NewAgent) -> None:
    agent = new_agent(ScriptedModel(f"İşte program:\n\n{GOOD}"))
    with ThreadPoolExecutor(1) as own_thread:       # in this one a browser test may have left its event loop
        words = own_thread.submit(asyncio.run, agent.process("Fibonacci fonksiyonu yaz")).result()
    assert words == f"İşte program:\n\n{GOOD}\n\n```\n42\n```"


def test_code_is_an_event_before_it_runs(new_agent: NewAgent) -> None:
    events = list(new_agent(ScriptedModel(f"Look.\n{GOOD}")).stream("x"))
    assert events.index(CodeWritten("print(6 * 7)")) < events.index(Running(1))
