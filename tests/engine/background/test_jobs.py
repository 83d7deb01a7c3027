"""Jobs: saved, followed from anywhere, stopped, and shown with the way they ended."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.background import MAX_RUNNING, JobProgress, Jobs
from engine.errors import EngineBusy, InvalidRequest, JobNotFound
from engine.storage.database import Database
from engine.storage.runs import JobStore


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(Database(tmp_path))


def counting(progress: JobProgress) -> str:
    for done in range(3):
        progress.report(done, 3, "files", f"file {done}")
        progress.add_log_line(f"did {done}")
    return '{"files": 3}'


def until_stopped(progress: JobProgress) -> str:
    while True:
        progress.stop.wait(0.01)
        progress.report(1, 10, "steps")


def last(jobs: Jobs, job_id: int) -> object:
    return list(jobs.follow(job_id))[-1]


def test_a_job_ends_with_its_result_and_its_log(jobs: Jobs) -> None:
    job = list(jobs.follow(jobs.start("count", "three", counting).id))[-1]
    assert (job.state, job.result, job.log, job.done, job.unit) == ("done", '{"files": 3}', "did 0\ndid 1\ndid 2\n", 2, "files")


def test_an_ended_job_is_kept(jobs: Jobs, tmp_path: Path) -> None:
    job = list(jobs.follow(jobs.start("count", "three", counting).id))[-1]
    assert Jobs(Database(tmp_path)).list() == (job,)


def test_two_followers_see_the_same_end(jobs: Jobs) -> None:
    job = jobs.start("wait", "long", until_stopped)
    ends: list[object] = []
    followers = [threading.Thread(target=lambda: ends.append(last(jobs, job.id))) for _ in range(2)]
    for follower in followers:
        follower.start()
    jobs.cancel(job.id)
    for follower in followers:
        follower.join(5)
    assert [end.state for end in ends] == ["cancelled", "cancelled"]  # type: ignore[attr-defined]


def test_cancelling_ends_the_work(jobs: Jobs) -> None:
    job = jobs.start("wait", "long", until_stopped)
    jobs.cancel(job.id)
    assert list(jobs.follow(job.id))[-1].state == "cancelled"
    assert not jobs.is_running("wait")


def test_work_that_was_just_cancelled_starts_again(jobs: Jobs) -> None:
    first = jobs.start("wait", "long", until_stopped)
    jobs.cancel(first.id)
    second = jobs.start("wait", "long", until_stopped)
    assert second.id != first.id
    assert second.state == "running"
    jobs.close()


def test_the_same_work_runs_once(jobs: Jobs) -> None:
    first, second = (jobs.start("wait", "long", until_stopped) for _ in range(2))
    assert first.id == second.id
    jobs.close()


def test_a_failure_is_reported_to_followers(jobs: Jobs) -> None:
    def fail(progress: JobProgress) -> str:
        raise InvalidRequest("size", 3, "larger")

    job = list(jobs.follow(jobs.start("fail", "it", fail).id))[-1]
    assert (job.state, job.error, job.error_kind) == ("failed", "size is 3, but it must be larger.", "InvalidRequest")


def test_an_unexpected_failure_shows_no_internals(jobs: Jobs) -> None:
    def fail(progress: JobProgress) -> str:
        raise RuntimeError("secret path")

    job = list(jobs.follow(jobs.start("fail", "it", fail).id))[-1]
    assert job.state == "failed"
    assert "secret" not in job.error
    assert "RuntimeError" in job.error


def test_the_number_of_running_jobs_per_owner_is_limited(jobs: Jobs) -> None:
    for number in range(MAX_RUNNING):
        jobs.start("wait", str(number), until_stopped, owner="a")
    with pytest.raises(EngineBusy):
        jobs.start("wait", "one more", until_stopped, owner="a")
    assert jobs.start("wait", "another's", until_stopped, owner="b").state == "running"
    jobs.close()


def test_a_job_of_a_process_that_died_is_interrupted(tmp_path: Path) -> None:
    code = ("import sys, os, pathlib; from engine.background import Jobs; from engine.storage.database import Database\n"
            "job = Jobs(Database(pathlib.Path(sys.argv[1]))).start('wait', 'long', lambda p: p.report(4, 9) or p.stop.wait(60) and '')\n"
            "import time; time.sleep(0.3); os._exit(9)")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60, check=False)
    job = Jobs(Database(tmp_path)).list()[0]
    assert (job.state, job.done, job.total) == ("interrupted", 4, 9)


def test_a_job_of_a_running_process_is_not_changed(tmp_path: Path) -> None:
    code = ("import sys, pathlib; from engine.background import Jobs; from engine.storage.database import Database\n"
            "Jobs(Database(pathlib.Path(sys.argv[1]))).start('wait', 'long', lambda p: p.stop.wait(60) and '')\n"
            "print('started', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == b"started\n"
        assert Jobs(Database(tmp_path)).list()[0].state == "running"
        other.stdin.close()


def test_a_running_job_cannot_be_removed_from_the_list(jobs: Jobs) -> None:
    job = jobs.start("wait", "long", until_stopped)
    with pytest.raises(InvalidRequest):
        jobs.forget(job.id)
    jobs.cancel(job.id)
    list(jobs.follow(job.id))
    jobs.forget(job.id)
    with pytest.raises(JobNotFound):
        jobs.get(job.id)


def test_a_long_log_keeps_its_end(tmp_path: Path) -> None:
    def talk(progress: JobProgress) -> str:
        for line in range(2000):
            progress.add_log_line(f"line {line} with some words")
        return ""

    jobs = Jobs(Database(tmp_path))
    list(jobs.follow(jobs.start("talk", "much", talk).id))
    kept = JobStore(Database(tmp_path)).list()[0].log
    assert kept.endswith("line 1999 with some words\n")
    assert len(kept) <= 20_000
