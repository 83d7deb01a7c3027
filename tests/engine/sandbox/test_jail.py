"""Behaviour of a session of the jail."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from engine import RunResult
from engine.errors import EngineBusy, SandboxUnavailable
from engine.sandbox.base import Limits, Restarted, StdoutPiece, StillRunning
from engine.sandbox.jail import JailSession

ROOT = Path(__file__).parents[3]


def test_variables_are_kept_from_run_to_run(sandbox: JailSession) -> None:
    sandbox.run("total = 40\ndef add(n): return total + n")
    assert sandbox.run("print(add(2))").stdout == "42\n"


def test_two_sessions_share_neither_variables_nor_files(sandbox: JailSession) -> None:
    with JailSession(Limits()) as second:
        sandbox.run("mine = 1\nopen('mine.txt', 'w').write('1')")
        assert "NameError" in second.run("print(mine)").error
        assert second.run("import os\nprint(os.listdir('.'))").stdout == "[]\n"


def test_files_of_the_owner_are_in_the_folder_where_programs_start(sandbox: JailSession) -> None:
    (sandbox.folder / "data.csv").write_text("a,b\n1,2\n", "utf-8")
    result = sandbox.run("print(open('data.csv').read().splitlines()[1])")
    assert (result.stdout, result.files) == ("1,2\n", ())


def test_a_result_names_new_and_changed_files_only(sandbox: JailSession) -> None:
    (sandbox.folder / "data.csv").write_text("a,b\n", "utf-8")
    sandbox.run("open('old.txt', 'w').write('old')")
    result = sandbox.run("import os\nos.mkdir('out')\nopen('out/new.txt', 'w').write('new')\nopen('data.csv', 'a').write('1,2')")
    assert [(file.name, file.num_bytes) for file in result.files] == [("data.csv", 7), ("out/new.txt", 3)]
    assert result.files[1].path.read_text("utf-8") == "new"


def test_an_error_shows_the_lines_of_the_program_and_no_others(sandbox: JailSession) -> None:
    error = sandbox.run("import json\ndef parse(text):\n    return json.loads(text)\nparse('{')").error
    assert [line.strip() for line in error.splitlines() if line.startswith("  File")] == \
        ['File "program.py", line 4, in <module>', 'File "program.py", line 3, in parse']
    assert "return json.loads(text)" in error
    assert error.splitlines()[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")


def test_an_error_in_a_function_of_an_earlier_program_shows_its_own_source(sandbox: JailSession) -> None:
    sandbox.run("def broken():\n    return 1 / 0")
    assert "    return 1 / 0\n" in sandbox.run("# another program\n\nbroken()").error


def test_a_chain_of_errors_is_shown_without_foreign_frames(sandbox: JailSession) -> None:
    error = sandbox.run("try:\n    int('x')\nexcept ValueError as cause:\n    raise KeyError('y') from cause").error
    assert "The above exception was the direct cause" in error
    assert str(ROOT) not in error


def test_an_error_in_a_thread_is_printed_with_the_lines_of_the_program(sandbox: JailSession) -> None:
    result = sandbox.run("import threading\ndef work():\n    1 / 0\nthreading.Thread(target=work).start()")
    assert result.ok
    assert [line.strip() for line in result.stdout.splitlines() if "File" in line] == ['File "program.py", line 3, in work']


def test_a_syntax_error_points_at_the_line(sandbox: JailSession) -> None:
    error = sandbox.run("x = 1\nprint('a'\n").error
    assert error.startswith('  File "program.py", line 2')
    assert "'(' was never closed" in error


def test_a_loop_is_stopped_at_the_limit_and_keeps_its_variables(sandbox: JailSession) -> None:
    result = sandbox.run("n = 0\nwhile True: n += 1", timeout_s=0.2)
    assert (result.ok, result.killed) == (False, False)
    assert result.error.startswith("Stopped after 0.2 s, the time limit. Variables are kept.")
    assert 0.2 <= result.seconds < 0.7
    assert int(sandbox.run("print(n)").stdout) > 0


def test_a_loop_in_c_is_killed_half_a_second_after_the_limit(sandbox: JailSession) -> None:
    result = sandbox.run("sum(range(10 ** 13))", timeout_s=0.2)
    assert (result.ok, result.killed) == (False, True)
    assert 0.7 <= result.seconds < 1.2
    assert "Variables are gone, files are kept." in result.error


def test_after_a_kill_the_next_run_starts_without_variables_and_reports_it(sandbox: JailSession) -> None:
    sandbox.run("kept = 1\nopen('kept.txt', 'w').write('1')")
    sandbox.run("import os\nos._exit(1)")
    first, *_, last = sandbox.stream("import os\nprint(os.listdir('.'), 'kept' in globals())")
    assert isinstance(first, Restarted)
    assert isinstance(last, RunResult)
    assert (last.is_restarted, last.stdout) == (True, "['kept.txt'] False\n")
    assert not sandbox.run("pass").is_restarted


def test_a_guest_that_died_between_two_runs_is_replaced(sandbox: JailSession) -> None:
    os.kill(sandbox._guests[0].pid, signal.SIGKILL)
    time.sleep(0.1)
    result = sandbox.run("print('fresh')")
    assert (result.stdout, result.ok, result.is_restarted) == ("fresh\n", True, True)


def test_an_interrupt_from_another_thread_keeps_the_variables(sandbox: JailSession) -> None:
    threading.Timer(0.2, sandbox.interrupt).start()
    result = sandbox.run("kept = 1\nwhile True: pass", timeout_s=20)
    assert result.error.startswith("Stopped. Variables are kept.")
    assert result.seconds < 1.0
    assert sandbox.run("print(kept)").stdout == "1\n"


def test_a_second_interrupt_kills(sandbox: JailSession) -> None:
    for seconds in (0.1, 0.25):
        threading.Timer(seconds, sandbox.interrupt).start()
    result = sandbox.run("sum(range(10 ** 13))", timeout_s=20)
    assert result.killed
    assert result.seconds < 0.6


def test_an_interrupt_has_no_effect_if_nothing_runs(sandbox: JailSession) -> None:
    sandbox.run("kept = 1")
    sandbox.interrupt()
    assert sandbox.run("print(kept)").stdout == "1\n"


def test_output_is_visible_while_the_program_runs(sandbox: JailSession) -> None:
    pieces: list[tuple[float, str]] = []
    started = time.monotonic()
    for event in sandbox.stream("import time\nfor n in range(3):\n    print(n)\n    time.sleep(0.3)"):
        if isinstance(event, StdoutPiece):
            pieces.append((time.monotonic() - started, event.text))
    assert "".join(text for _, text in pieces) == "0\n1\n2\n"
    assert len(pieces) == 3
    assert pieces[0][0] < 0.3


def test_a_stream_is_never_silent_for_long(sandbox: JailSession) -> None:
    times = [time.monotonic() for event in sandbox.stream("import time\ntime.sleep(0.6)") if isinstance(event, StillRunning)]
    assert max(later - earlier for earlier, later in pairwise(times)) < 0.3
    assert len(times) >= 4


def test_leaving_a_stream_stops_the_program(sandbox: JailSession) -> None:
    events = sandbox.stream("while True: pass", timeout_s=60)
    next(events)
    events.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            assert sandbox.run("print('free')").stdout == "free\n"
            return
        except EngineBusy:
            time.sleep(0.05)
    pytest.fail("the program still runs")


def test_limits_hold_while_nobody_reads_the_events(sandbox: JailSession) -> None:
    sandbox.stream("sum(range(10 ** 13))", timeout_s=0.1)
    time.sleep(1.2)
    assert sandbox.run("print('free')").stdout == "free\n"


def test_a_session_runs_one_program_at_a_time(sandbox: JailSession) -> None:
    events = sandbox.stream("import time\ntime.sleep(0.5)")
    with pytest.raises(EngineBusy, match="is running"):
        sandbox.run("pass")
    assert next(event for event in events if isinstance(event, RunResult)).ok


def test_long_output_keeps_head_and_tail_and_reports_what_is_missing(sandbox: JailSession) -> None:
    result = sandbox.run("for n in range(100_000): print(f'line {n}')")
    assert result.ok
    assert result.stdout.startswith("line 0\nline 1\n")
    assert result.stdout.endswith("line 99999\n")
    assert "characters left out" in result.stdout
    assert len(result.stdout) < 200_100


def test_a_character_cut_between_two_pieces_stays_whole(sandbox: JailSession) -> None:
    result = sandbox.run("import os, time\nos.write(1, 'ğ'.encode()[:1])\ntime.sleep(0.15)\nos.write(1, 'ğ'.encode()[1:])")
    assert result.stdout == "ğ"


def test_threads_of_an_ended_program_are_suspended_between_runs(sandbox: JailSession) -> None:
    sandbox.run("import threading, time\ncount = 0\ndef tick():\n    global count\n    while True:\n        count += 1\n"
            "        time.sleep(0.001)\nthreading.Thread(target=tick, daemon=True).start()")
    before = int(sandbox.run("print(count)").stdout)
    time.sleep(0.5)
    assert int(sandbox.run("print(count)").stdout) - before < 100


@pytest.mark.parametrize("bomb", [
    pytest.param("while True: print('x' * 100)", id="output"),
    pytest.param("import hashlib, threading\ndef work():\n    while True: hashlib.sha256(bytes(1 << 20))\n"
                 "for n in range(16): threading.Thread(target=work, daemon=True).start()\nwork()", id="cores"),
    pytest.param("while True:\n    try:\n        a = []\n        while True: a.append(bytearray(1 << 20))\n"
                 "    except MemoryError: pass", id="memory"),
    pytest.param("while True: open('f', 'wb').write(bytes(1 << 22))", id="disk"),
])
def test_the_host_and_other_sessions_stay_responsive_while_a_bomb_runs(sandbox: JailSession, bomb: str) -> None:
    with JailSession(Limits()) as other:
        events = sandbox.stream(bomb, timeout_s=0.8)
        waits = []
        while sandbox._run is not None:
            started = time.monotonic()
            assert other.run("print(1)").stdout == "1\n"
            time.sleep(0.01)
            waits.append(time.monotonic() - started)
        assert list(events)
    assert max(waits) < 0.5


def test_closing_kills_the_program_and_deletes_the_folder() -> None:
    sandbox = JailSession(Limits())
    pid = sandbox._guests[0].pid
    sandbox.stream("while True: pass", timeout_s=60)
    sandbox.close()
    assert not sandbox.folder.parent.exists()
    assert not Path(f"/proc/{pid}").exists()
    sandbox.close()
    with pytest.raises(SandboxUnavailable, match="closed"):
        sandbox.run("pass")


def test_an_unreferenced_session_ends_its_guest_and_deletes_its_folder() -> None:
    sandbox = JailSession(Limits())
    pid, root = sandbox._guests[0].pid, sandbox.folder.parent
    del sandbox
    assert not Path(f"/proc/{pid}").exists()
    assert not root.exists()


def test_a_forked_child_leaves_the_session_to_its_owner() -> None:
    code = ("import os\nfrom engine.sandbox.jail import JailSession\nfrom engine.sandbox.base import Limits\n"
            "sandbox = JailSession(Limits())\nif os.fork() == 0:\n    del sandbox\n    os._exit(0)\n"
            "os.wait()\nprint(sandbox.run('print(1)'))")
    printed = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True).stdout
    assert printed.startswith("RunResult(ok=True, stdout='1\\n'")


def test_a_host_with_a_thousand_open_files_can_run_programs() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    handles = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with JailSession(Limits()) as sandbox:
            assert sandbox.run("print(1)").stdout == "1\n"
    finally:
        for handle in handles:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_guest_ends_with_its_host() -> None:
    code = ("import sys, threading, time\nfrom engine.sandbox.jail import JailSession\nfrom engine.sandbox.base import Limits\n"
            "sandbox = JailSession(Limits()); sandbox.run('pass'); print(sandbox._guests[0].pid, flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        guest = int(host.stdout.readline())
        host.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _is_alive(guest) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_alive(guest)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_guest_has_no_capabilities_and_a_lower_priority(sandbox: JailSession) -> None:
    facts = dict(line.split(":\t", 1) for line in Path(f"/proc/{sandbox._guests[0].pid}/status").read_text().splitlines())
    assert {facts[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert os.getpriority(os.PRIO_PROCESS, sandbox._guests[0].pid) >= 10


# --- a new interpreter ---

def test_after_a_reset_no_variable_module_or_memory_is_left_but_files_are(sandbox: JailSession) -> None:
    sandbox.run("sum = 1\nblock = bytearray(200_000_000)\nopen('kept.txt', 'w').write('x')\n"
                "import json; json.dumps = None")
    sandbox.reset()
    result = sandbox.run("import json, os\nprint(sum([1, 2]), json.dumps(os.listdir()), 'block' in globals())")
    assert result.stdout == '3 ["kept.txt"] False\n'
    assert result.is_restarted


def test_a_reset_of_a_session_in_which_nothing_ran_changes_nothing(sandbox: JailSession) -> None:
    sandbox.reset()
    assert not sandbox.run("print(1)").is_restarted


def test_a_session_is_not_reset_while_a_program_runs(sandbox: JailSession) -> None:
    events = sandbox.stream("import time; print('begun', flush=True); time.sleep(30)", 60.0)
    next(events)
    with pytest.raises(EngineBusy):
        sandbox.reset()
    events.close()
