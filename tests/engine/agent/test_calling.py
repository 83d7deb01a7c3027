"""A model that can call tools passes its program to one; what follows is the same as for a fenced block."""

import json
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Finished, StreamEvent, TextDelta, ToolCallDelta
from engine.agent.calling import CallText, code_so_far
from engine.agent.code_agent import CodeAgent
from engine.agent.events import CodeWritten, Final, Stopped, Writing
from engine.agent.parsing import parse
from tests.engine.agent.conftest import ScriptedModel
from tests.ui.scripted_engine import USAGE

NewAgent = Callable[..., CodeAgent]


class Caller(ScriptedModel):
    calls_tools = True


def calling(code: str, text: str = "I compute it.", size: int = 7) -> list[StreamEvent]:
    written = json.dumps({"code": code})
    pieces: list[StreamEvent] = [ToolCallDelta(0, arguments=written[at:at + size]) for at in range(0, len(written), size)]
    return [TextDelta(text), ToolCallDelta(0, "a", "run_python"), *pieces, Finished("tool_calls", USAGE)]


def test_the_program_of_a_call_is_run_and_repaired(new_agent: NewAgent) -> None:
    model = Caller(calling("print(undefined)"), calling('text = """```\\n"""\nprint(6 * 7)'))
    events = list(new_agent(model).stream("What is 6 * 7?"))
    assert [event.code for event in events if isinstance(event, CodeWritten)] == [
        "print(undefined)", 'text = """```\\n"""\nprint(6 * 7)']
    assert "".join(event.text for event in events if isinstance(event, Writing)).count("``````python") == 2
    last = events[-1]
    assert isinstance(last, Final)
    assert (last.stdout, last.prose) == ("42\n", "I compute it.")
    assert [tool.name for tool in model.options[0].tools] == ["run_python"]
    assert "run_python" in model.asked[0][0].content


def test_an_answer_in_words_after_a_clean_run_is_asked_for_without_a_tool(new_agent: NewAgent) -> None:
    model = Caller(calling("print(6 * 7)", text=""), "It is 42.")
    last = list(new_agent(model).stream("What is 6 * 7?"))[-1]
    assert isinstance(last, Final)
    assert last.prose == "It is 42."
    assert [len(options.tools) for options in model.options] == [1, 0]


def test_a_call_that_is_cut_is_continued_as_text(new_agent: NewAgent) -> None:
    cut = [*calling("for n in (1, 2):\n    print(n)", text="")[:-3], Finished("length", USAGE)]
    model = Caller(cut, "    print(n)\n``````", "One, two.")
    last = list(new_agent(model).stream("Count."))[-1]
    assert isinstance(last, Final | Stopped)
    assert model.asked[1][-1].role == "assistant"
    assert model.options[1].tools == ()


def test_a_model_that_cannot_call_tools_keeps_the_text_protocol(new_agent: NewAgent) -> None:
    model = ScriptedModel("```python\nprint(6 * 7)\n```", "42.")
    assert isinstance(list(new_agent(model).stream("What is 6 * 7?"))[-1], Final)
    assert model.options[0].tools == ()
    assert "fenced block" in model.asked[0][0].content


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 9), st.booleans())
def test_the_pieces_of_a_call_make_its_program(code: str, size: int, is_ascii: bool) -> None:
    written, text, shown = json.dumps({"code": code}, ensure_ascii=is_ascii), CallText(), ""
    for at in range(0, len(written), size):
        shown += text.feed(ToolCallDelta(0, arguments=written[at:at + size]))
    assert shown.removeprefix("\n\n``````python\n") == code
    assert code_so_far(written) == code


def test_only_the_first_call_of_a_reply_counts() -> None:
    text = CallText()
    assert text.feed(ToolCallDelta(0, "a", "run_python", '{"code": "1"}'))
    assert text.feed(ToolCallDelta(1, "b", "run_python", '{"code": "2"}')) == ""


def test_a_program_with_fences_of_its_own_is_one_program() -> None:
    code = 'print("```")\nprint("````python")'
    assert parse(f"``````python\n{code}\n``````").code == code
