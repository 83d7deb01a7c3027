"""Jobs as lines at the bottom of every tab."""

import time
from dataclasses import replace
from typing import get_args

import pytest

from engine import LoadEvent, Released
from engine.background import Job
from engine.models.spec import Stage
from engine.storage.runs import JobState
from ui.shared.jobs import SHOWN_S, strip_html, visible
from ui.shared.language import LANGUAGES, duration

from ..scripted_engine import LOADING, READY

MIB = 2**20
PACE = '{"file": "model.safetensors", "speed": 2000000, "left_s": 61.0}'
JOB = Job(7, "download", "me/tiny", "me", "running", done=3_000_000, total=12_000_000, unit="bytes", note=PACE,
          updated=time.time() + 3600)     # this file may be read long before its tests run
BAD = '<script>alert("1")</script>\'{x}'


def shown(*jobs: Job, language: str = "en") -> str:
    return strip_html(jobs, READY, "", language)


def test_without_jobs_the_strip_is_empty() -> None:
    assert shown() == ""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", get_args(JobState))
@pytest.mark.parametrize("job", [
    JOB, replace(JOB, note=""), replace(JOB, done=0, total=0, unit=""), replace(JOB, unit="files"), replace(JOB, note="any words"),
    replace(JOB, kind="save", note="", done=0, total=0, unit="")], ids=["control", "no note", "no size", "files", "words", "save"])
def test_a_job_of_every_state_has_a_line_in_every_language(job: Job, state: JobState, language: str) -> None:
    line = shown(replace(job, state=state, error="It broke." if state == "failed" else ""), language=language)
    assert 'class="mc-job"' in line
    assert "me/tiny" in line


def test_a_running_download_shows_its_progress_speed_and_time_left() -> None:
    line = shown(JOB)
    assert "3.0 MB / 12 MB · 2.0 MB/s · 1 min left" in line
    assert '<progress aria-label="Downloading me/tiny" max="12000000" value="3000000">' in line


@pytest.mark.parametrize(("state", "word", "acts"), [
    ("running", "2.0 MB/s", ["cancel"]), ("done", "Done", ["hide"]), ("cancelled", "Cancelled", ["resume", "hide"]),
    ("interrupted", "Interrupted", ["resume", "hide"]), ("failed", "It broke.", ["resume", "hide"])])
def test_each_state_of_a_download_has_its_label_and_its_buttons(state: JobState, word: str, acts: list[str]) -> None:
    line = shown(replace(JOB, state=state, error="It broke."))
    assert word in line
    assert [part.split('"')[0] for part in line.split('data-do="')[1:]] == acts
    assert line.count('data-value="7"') == len(acts)


def test_a_run_of_someone_else_can_be_ended_but_not_opened() -> None:
    run = Job(8, "finetune", "people 1a2b", "me", "running", facts="1a2b", updated=time.time())
    own, other = (strip_html([run], READY, "", "en", owner) for owner in ("me", "other"))
    assert [part.split('"')[0] for part in own.split('data-do="')[1:]] == ["open", "cancel"]
    assert [part.split('"')[0] for part in other.split('data-do="')[1:]] == ["cancel"]


def test_a_job_that_cannot_continue_has_no_resume_button() -> None:
    assert 'data-do="resume"' not in shown(replace(JOB, kind="save", state="failed", error="It broke."))


@pytest.mark.parametrize("note", ["12", "null", "[1]", '"text"', "{", "any words"])
def test_a_note_of_any_kind_is_shown_or_left_out(note: str) -> None:
    assert "3.0 MB / 12 MB" in shown(replace(JOB, note=note))


@pytest.mark.parametrize("state", get_args(JobState))
def test_text_written_by_others_is_escaped(state: JobState) -> None:
    line = shown(replace(JOB, title=BAD, note=BAD, error=BAD, state=state))
    assert "<script" not in line
    assert line.count("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#x27;{x}") > 1


def test_a_job_of_a_kind_without_a_text_is_named_by_its_title() -> None:
    assert ">me/tiny</b>" in shown(replace(JOB, kind="new kind"))


# --- which jobs ---

def test_a_finished_job_disappears_after_a_while_and_an_interrupted_one_stays() -> None:
    old = time.time() - SHOWN_S - 1
    jobs = [replace(JOB, id=number, title=f"me/{number}", state=state, updated=old)
            for number, state in enumerate(get_args(JobState))]
    assert {job.state for job in visible(jobs)} == {"running", "interrupted"}


def test_only_the_latest_attempt_at_the_same_work_is_shown() -> None:
    jobs = [replace(JOB, id=9), replace(JOB, id=8, title="me/other"), replace(JOB, id=7, state="interrupted")]
    assert [job.id for job in visible(jobs)] == [9, 8]


# --- a load ---

@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stage", get_args(Stage))
def test_a_swap_shows_its_stage_in_every_language(stage: Stage, language: str) -> None:
    line = strip_html((), replace(LOADING, stage=LoadEvent(stage, 2, 5)), BAD, language)
    assert 'max="5" value="2"' in line
    assert "<script" not in line


def test_a_swap_shows_the_freed_memory() -> None:
    event = LoadEvent("unload", released=Released(expected_bytes=57 * MIB * 1024 // 10, returned_bytes=56 * MIB * 1024 // 10, seconds=0.8))
    assert "Freed 5.6 GiB of 5.7 GiB in 0.8 s" in strip_html((), replace(LOADING, stage=event), "tiny", "en")


# --- time ---

@pytest.mark.parametrize(("seconds", "words"), [
    (0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (90, "2 min"), (3569, "59 min"), (3590, "1 h 0 min"), (7384, "2 h 3 min"),
    (90_000, "25 h 0 min")])
def test_time_left_is_worded_in_its_largest_units(seconds: float, words: str) -> None:
    assert duration("en", seconds) == words
