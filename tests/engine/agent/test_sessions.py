"""Runs of the code agent: kept, followed, stopped, continued, separate from each other."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import AgentOptions, AgentSessions
from engine.agent import AgentRun, to_notebook, to_script
from engine.errors import AttachmentRefused, EngineBusy, InvalidRequest, RunNotFound
from engine.storage.agent_records import Task
from engine.storage.agent_runs import AgentRunStore
from engine.storage.database import Database
from tests.ui.scripted_engine import ScriptedEngine, answer

Open = Callable[[ScriptedEngine], AgentSessions]
GOOD, BAD = "Here:\n```python\nprint(6 * 7)\n```", "Here:\n```python\nprint(undefined)\n```"
APPROVE = AgentOptions(approve_first=True)
ENDLESS = "while True:\n    pass"


def ended(agent_sessions: AgentSessions, run: AgentRun, owner: str = "me") -> AgentRun:
    for _ in agent_sessions.follow(owner, run.id):
        pass
    return agent_sessions.get(owner, run.id)


def test_a_task_ends_with_its_program_and_output(open_sessions: Open) -> None:
    agent_sessions = open_sessions(ScriptedEngine(answer(GOOD)))
    run = ended(agent_sessions, agent_sessions.start("me", None, "six times seven"))
    [step] = run.last.steps
    assert (run.last.state, run.last.reason, run.title) == ("done", "clean_run", "six times seven")
    assert (step.code, step.stdout, step.error, step.prose) == ("print(6 * 7)", "42\n", "", "Here:")
    assert step.tokens == 182


def test_a_failed_program_is_repaired_in_a_separate_step(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer(BAD))
    engine.later = [answer(GOOD)]
    agent_sessions = open_sessions(engine)
    run = ended(agent_sessions, agent_sessions.start("me", None, "x"))
    assert ["NameError" in step.error for step in run.last.steps] == [True, False]
    assert [step.number for step in run.last.steps] == [1, 2]


def test_a_run_is_the_same_in_another_process(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer(GOOD))
    agent_sessions = open_sessions(engine)
    run = ended(agent_sessions, agent_sessions.start("me", None, "x"))
    assert open_sessions(engine).get("me", run.id) == run
    assert [each.title for each in agent_sessions.list("me")] == ["x"]


def test_a_run_whose_process_died_is_interrupted(open_sessions: Open) -> None:
    engine = ScriptedEngine()
    agent_sessions = open_sessions(engine)
    run = AgentRunStore(engine.database).create("me", "x", Task("x"))
    with engine.database.transaction(is_writing=True) as connection:
        connection.execute("UPDATE agent_runs SET process = '999999:1'")
    assert agent_sessions.get("me", run.id).last.state == "interrupted"


def test_an_interrupted_task_starts_again(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer(GOOD))
    agent_sessions = open_sessions(engine)
    run = AgentRunStore(engine.database).create("me", "x", Task("six times seven", state="interrupted"))
    assert ended(agent_sessions, agent_sessions.resume("me", run.id)).last.steps[-1].stdout == "42\n"
    assert engine.asked[0][0][-1].content == "six times seven"


def test_stop_ends_an_endless_program_within_a_second_and_keeps_its_output(open_sessions: Open) -> None:
    agent_sessions = open_sessions(ScriptedEngine(answer(f"```python\nprint('begun', flush=True)\n{ENDLESS}\n```")))
    run = agent_sessions.start("me", None, "x")
    for snapshot in agent_sessions.follow("me", run.id):
        if snapshot.last.steps and snapshot.last.steps[-1].stdout:
            break
    started = time.monotonic()
    agent_sessions.stop("me", run.id)
    run = ended(agent_sessions, run)
    assert time.monotonic() - started < 1.0
    assert (run.last.state, run.last.steps[-1].stdout) == ("stopped", "begun\n")


def test_a_stopped_task_can_be_continued(open_sessions: Open) -> None:
    engine = ScriptedEngine([60.0])
    engine.later = [answer(GOOD)]
    agent_sessions = open_sessions(engine)
    run = agent_sessions.start("me", None, "x")
    while not engine.asked:
        time.sleep(0.02)
    agent_sessions.stop("me", run.id)
    assert ended(agent_sessions, run).last.state == "stopped"
    assert ended(agent_sessions, agent_sessions.resume("me", run.id)).last.state == "done"


def test_a_run_is_accessible_to_its_owner_only(open_sessions: Open) -> None:
    agent_sessions = open_sessions(ScriptedEngine(answer(GOOD)))
    run = ended(agent_sessions, agent_sessions.start("me", None, "x"))
    for reach in (agent_sessions.get, agent_sessions.delete, agent_sessions.resume):
        with pytest.raises(RunNotFound):
            reach("you", run.id)
    with pytest.raises(RunNotFound):
        agent_sessions.run_code("you", run.id, "print(1)")
    with pytest.raises(RunNotFound):
        agent_sessions.start("you", run.id, "and then?")
    assert agent_sessions.list("you") == ()


def test_two_runs_share_neither_variables_nor_files(open_sessions: Open) -> None:
    agent_sessions = open_sessions(ScriptedEngine(answer("```python\nsecret = 1\nopen('mine.txt', 'w').write('x')\n```")))
    mine = ended(agent_sessions, agent_sessions.start("me", None, "x"))
    yours = ended(agent_sessions, agent_sessions.start("you", None, "x"), "you")
    agent_sessions.delete("you", yours.id)
    other = ended(agent_sessions, agent_sessions.start("you", None, "y"), "you")
    show = "import os; open('more.txt', 'w').close(); print(sorted(os.listdir()))"
    snapshot = ended(agent_sessions, agent_sessions.run_code("me", mine.id, show))
    assert snapshot.last.steps[-1].stdout == "['mine.txt', 'more.txt']\n"
    snapshot = ended(agent_sessions, agent_sessions.run_code("you", other.id, "import os; print(os.listdir())"), "you")
    assert snapshot.last.steps[-1].stdout == "['mine.txt']\n"


# --- approval, and programs of a person ---

def test_a_program_waits_for_approval_and_then_runs_in_its_own_step(open_sessions: Open) -> None:
    agent_sessions = open_sessions(ScriptedEngine(answer(GOOD)))
    run = ended(agent_sessions, agent_sessions.start("me", None, "x", options=APPROVE))
    assert (run.last.state, run.last.steps[0].stdout) == ("approval", "")
    run = ended(agent_sessions, agent_sessions.run_code("me", run.id, "print(6 * 7)", APPROVE, max_repairs=2))
    [step] = run.last.steps
    assert (run.last.state, step.stdout, step.prose, step.is_given) == ("done", "42\n", "Here:", False)


def test_an_edited_program_runs_without_the_model(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer(GOOD))
    agent_sessions = open_sessions(engine)
    run = ended(agent_sessions, agent_sessions.start("me", None, "x", options=APPROVE))
    run = ended(agent_sessions, agent_sessions.run_code("me", run.id, "print(43)"))
    assert [(step.code, step.stdout, step.is_given) for step in run.last.steps] == [
        ("print(6 * 7)", "", False), ("print(43)", "43\n", True)]
    assert len(engine.asked) == 1


def test_an_edited_program_that_fails_is_repaired_on_request(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer(GOOD))
    agent_sessions = open_sessions(engine)
    run = ended(agent_sessions, agent_sessions.start("me", None, "x"))
    engine.later = [answer("Fixed:\n```python\nprint(44)\n```")]
    run = ended(agent_sessions, agent_sessions.run_code("me", run.id, "print(oops)", max_repairs=1))
    assert run.last.steps[-1].stdout == "44\n"


# --- files ---

def test_an_uploaded_file_is_in_the_work_folder_and_a_produced_one_is_kept(open_sessions: Open, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    engine = ScriptedEngine(answer("```python\nopen('out.csv', 'w').write(open('in.csv').read() * 2)\n```"))
    agent_sessions = open_sessions(engine)
    run = ended(agent_sessions, agent_sessions.start("me", None, "double it", [tmp_path / "in.csv"]))
    assert [file.name for file in run.last.steps[0].files] == ["out.csv"]
    assert (agent_sessions.folder(run.id) / "out.csv").read_text() == "a,b\n1,2\n" * 2
    assert "a,b" in engine.asked[0][0][-1].content


def test_files_are_in_the_next_sandbox_of_the_run(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer("```python\nopen('kept.txt', 'w').write('still here')\n```"))
    first = open_sessions(engine)
    run = ended(first, first.start("me", None, "x"))
    first.close()
    second = open_sessions(engine)
    assert ended(second, second.run_code("me", run.id, "print(open('kept.txt').read())")).last.steps[-1].stdout == "still here\n"


def test_files_are_deleted_with_their_run(open_sessions: Open) -> None:
    agent_sessions = open_sessions(ScriptedEngine(answer("```python\nopen('kept.txt', 'w').write('x')\n```")))
    run = ended(agent_sessions, agent_sessions.start("me", None, "x"))
    folder = agent_sessions.folder(run.id)
    assert folder.is_dir()
    agent_sessions.delete("me", run.id)
    assert not folder.exists()
    with pytest.raises(RunNotFound):
        agent_sessions.get("me", run.id)


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt", ""])
def test_nothing_is_kept_outside_the_runs_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_text("x")
    assert AgentRunStore(Database(tmp_path)).keep("run", name, tmp_path / "x") is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert AgentRunStore(Database(tmp_path)).keep("run", "link", tmp_path / "link") is None


def test_an_upload_that_is_too_large_is_refused_before_the_task_starts(open_sessions: Open, tmp_path: Path) -> None:
    agent_sessions = open_sessions(ScriptedEngine())
    with (tmp_path / "big").open("wb") as file:
        file.truncate((20 << 20) + 1)
    with pytest.raises(AttachmentRefused, match="too large"):
        agent_sessions.start("me", None, "x", [tmp_path / "big"])
    with pytest.raises(InvalidRequest):
        agent_sessions.start("me", None, " ")
    assert agent_sessions.list("me") == ()


def test_a_file_that_cannot_be_read_leaves_no_run_behind(open_sessions: Open, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("x")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    agent_sessions = open_sessions(ScriptedEngine(answer(GOOD)))
    with pytest.raises(AttachmentRefused, match="could not be read"):
        agent_sessions.start("me", None, "x", [tmp_path / "link.txt"])
    assert agent_sessions.list("me") == ()


# --- many ---

def test_on_a_public_page_a_visitor_has_one_task_at_a_time(open_sessions: Open) -> None:
    engine = ScriptedEngine([60.0])
    engine.settings = replace(engine.settings, is_public=True)
    agent_sessions = open_sessions(engine)
    run = agent_sessions.start("me", None, "x")
    with pytest.raises(EngineBusy):
        agent_sessions.start("me", None, "y")
    agent_sessions.stop("me", run.id)
    ended(agent_sessions, run)


def test_a_follow_up_in_another_process_sees_the_last_program_and_its_result(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer(GOOD))
    first = open_sessions(engine)
    run = ended(first, first.start("me", None, "six times seven"))
    second = open_sessions(engine)
    ended(second, second.start("me", run.id, "and twice that?"))
    contents = [message.content for message in engine.asked[-1][0]]
    assert contents[-3] == "six times seven"
    assert "print(6 * 7)" in contents[-2]
    assert "42" in contents[-2]


# --- to take along ---

def test_a_run_is_exported_as_a_script_and_as_a_notebook(open_sessions: Open) -> None:
    engine = ScriptedEngine(answer(BAD))
    engine.later = [answer(GOOD)]
    agent_sessions = open_sessions(engine)
    run = ended(agent_sessions, agent_sessions.start("me", None, "six times\nseven"))
    script = to_script(run)
    assert script == "# six times\n# seven\n\nprint(6 * 7)\n"
    compile(script, "script", "exec")
    cells = json.loads(to_notebook(run))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "markdown", "code", "markdown", "code"]
    assert [output["name"] for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]] == ["stderr", "stdout"]
    assert len({cell["id"] for cell in cells}) == len(cells)
