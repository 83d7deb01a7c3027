"""Behaviour of a session of the wasm tier."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from engine import RunResult
from engine.errors import SandboxUnavailable
from engine.sandbox.base import Limits, Restarted, StdoutPiece
from engine.sandbox.runtime import Runtime
from engine.sandbox.wasm import WasmSession

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wasm_session(runtime: Runtime) -> Iterator[WasmSession]:
    """With a longer grace period: on a busy machine an interrupt may take effect late."""
    with WasmSession(replace(Limits(), grace_s=3.0), runtime) as opened:
        yield opened


@pytest.fixture
def sandbox(wasm_session: WasmSession) -> WasmSession:
    """The module's session, with an empty folder."""
    wasm_session.run("import os, shutil\nfor name in os.listdir('.'): shutil.rmtree(name) if os.path.isdir(name) else os.remove(name)")
    return wasm_session


def test_variables_are_kept_from_run_to_run(sandbox: WasmSession) -> None:
    sandbox.run("total = 40\ndef add(n): return total + n")
    assert sandbox.run("print(add(2))").stdout == "42\n"


def test_two_sessions_share_neither_variables_nor_files_nor_random_state(sandbox: WasmSession, runtime: Runtime) -> None:
    draw = "import random, secrets\nprint(random.random(), secrets.token_hex(8))"
    with WasmSession(Limits(), runtime) as second:
        sandbox.run("mine = 1\nopen('mine.txt', 'w').write('1')")
        assert "NameError" in second.run("print(mine)").error
        assert second.run("import os\nprint(os.listdir('.'))").stdout == "[]\n"
        assert set(sandbox.run(draw).stdout.split()).isdisjoint(second.run(draw).stdout.split())


def test_files_of_the_owner_are_in_the_folder_where_programs_start(sandbox: WasmSession) -> None:
    (sandbox.folder / "in").mkdir(exist_ok=True)
    (sandbox.folder / "in" / "data.csv").write_text("a,b\n1,2\n", "utf-8")
    result = sandbox.run("print(open('in/data.csv').read().splitlines()[1])")
    assert (result.stdout, result.files) == ("1,2\n", ())


def test_a_program_sees_that_the_owner_changed_or_removed_a_file(sandbox: WasmSession) -> None:
    (sandbox.folder / "a.txt").write_text("one", "utf-8")
    (sandbox.folder / "b.txt").write_text("two", "utf-8")
    sandbox.run("pass")
    (sandbox.folder / "a.txt").write_text("three", "utf-8")
    (sandbox.folder / "b.txt").unlink()
    assert sandbox.run("import os\nprint(open('a.txt').read(), os.path.exists('b.txt'))").stdout == "three False\n"


def test_a_file_of_the_owner_may_be_larger_than_one_of_a_program(sandbox: WasmSession) -> None:
    (sandbox.folder / "big").write_bytes(bytes(40 << 20))
    assert sandbox.run("import os\nprint(os.path.getsize('big') >> 20)", timeout_s=20).stdout == "40\n"


def test_a_result_names_new_and_changed_files_only(sandbox: WasmSession) -> None:
    (sandbox.folder / "data.csv").write_text("a,b\n", "utf-8")
    sandbox.run("open('old.txt', 'w').write('old')")
    result = sandbox.run("import os\nos.makedirs('out')\nopen('out/ğ.txt', 'w').write('new')\nopen('data.csv', 'a').write('1,2')")
    assert [(file.name, file.num_bytes) for file in result.files] == [("data.csv", 7), ("out/ğ.txt", 3)]
    assert result.files[1].path.read_text("utf-8") == "new"


def test_a_large_file_comes_out_unchanged(sandbox: WasmSession) -> None:
    result = sandbox.run("open('big', 'wb').write(bytes(range(256)) * 40_000)", timeout_s=20)
    assert result.files[0].path.read_bytes() == bytes(range(256)) * 40_000


def test_a_moved_or_deleted_file_is_moved_or_deleted_outside_too(sandbox: WasmSession) -> None:
    sandbox.run("import os\nos.makedirs('a/b')\nopen('a/b/x', 'w').write('x')\nopen('y', 'w').write('y')")
    result = sandbox.run("os.rename('a/b/x', 'z')\nos.remove('y')")
    assert [file.name for file in result.files] == ["z"]
    assert [path.name for path in sandbox.folder.rglob("*")] == ["z"]


def test_file_names_that_cannot_be_shown_are_not_reported(sandbox: WasmSession) -> None:
    files = sandbox.run("for name in ('a\\nb', 'a<b>', '\\u202eexe.txt', 'x' * 250): open(name, 'w').write('x')").files
    assert [file.name for file in files] == ["a<b>", "x" * 250]


def test_an_error_shows_the_lines_of_the_program_and_no_others(sandbox: WasmSession) -> None:
    error = sandbox.run("import json\ndef parse(text):\n    return json.loads(text)\nparse('{')").error
    assert [line.strip() for line in error.splitlines() if line.startswith("  File")] == \
        ['File "program.py", line 4, in <module>', 'File "program.py", line 3, in parse']


@pytest.mark.parametrize("wait", ["while True: pass", "import time\ntime.sleep(99)"])
def test_a_program_is_stopped_at_the_limit_and_keeps_its_variables(sandbox: WasmSession, wait: str) -> None:
    result = sandbox.run(f"kept = 1\n{wait}", timeout_s=0.3)
    assert (result.ok, result.killed) == (False, False)
    assert result.error.startswith("Stopped after 0.3 s, the time limit. Variables are kept.")
    assert result.seconds < 2.0
    assert sandbox.run("print(kept)").stdout == "1\n"


def test_waiting_in_the_event_loop_can_be_interrupted_too(sandbox: WasmSession) -> None:
    result = sandbox.run("kept = 2\nimport asyncio\nasyncio.run(asyncio.sleep(99))", timeout_s=0.3)
    assert (result.ok, result.killed) == (False, False)
    assert sandbox.run("print(kept)").stdout == "2\n"


def test_a_loop_in_c_is_killed_half_a_second_after_the_limit_and_the_next_run_reports_a_restart(runtime: Runtime) -> None:
    with WasmSession(Limits(), runtime) as sandbox:
        sandbox.run("open('kept.txt', 'w').write('1')")
        result = sandbox.run("open('lost.txt', 'w').write('1')\nsum(range(10 ** 13))", timeout_s=0.3)
        assert (result.ok, result.killed) == (False, True)
        assert 0.8 <= result.seconds < 2.0      # 0.83 where nothing else runs
        assert "Variables are gone, files of earlier programs are kept." in result.error
        first, *_, last = sandbox.stream("import os\nprint(os.listdir('.'), 'kept' in globals())")
    assert isinstance(first, Restarted)
    assert isinstance(last, RunResult)
    assert (last.is_restarted, last.stdout) == (True, "['kept.txt'] False\n")


def test_an_interrupt_from_another_thread_keeps_the_variables(sandbox: WasmSession) -> None:
    threading.Timer(0.3, sandbox.interrupt).start()
    result = sandbox.run("kept = 1\nwhile True: pass", timeout_s=20)
    assert result.error.startswith("Stopped. Variables are kept.")
    assert result.seconds < 2.0
    assert sandbox.run("print(kept)").stdout == "1\n"


def test_an_interrupt_has_no_effect_if_nothing_runs(sandbox: WasmSession) -> None:
    sandbox.run("kept = 1")
    sandbox.interrupt()
    assert sandbox.run("print(kept)").stdout == "1\n"


def test_output_is_visible_while_the_program_runs(sandbox: WasmSession) -> None:
    events = sandbox.stream("import time\nfor n in range(3):\n    print(n)\n    time.sleep(0.3)")
    pieces = [event.text for event in events if isinstance(event, StdoutPiece)]
    assert pieces == ["0\n", "1\n", "2\n"]


def test_long_output_keeps_head_and_tail(sandbox: WasmSession) -> None:
    result = sandbox.run("for n in range(50_000): print(f'line {n}')", timeout_s=30)
    assert result.ok
    assert result.stdout.startswith("line 0\nline 1\n")
    assert result.stdout.endswith("line 49999\n")
    assert "characters left out" in result.stdout


def test_limits_of_the_caller_hold(runtime: Runtime) -> None:
    with WasmSession(replace(Limits(), num_files=3, memory_bytes=64 << 20), runtime) as sandbox:
        assert "No space left" in sandbox.run("for n in range(9): open(f'{n}', 'w').close()").error
        assert "MemoryError" in sandbox.run("bytearray(100 << 20)").error
        assert sandbox.run("print(len(bytearray(20 << 20)))").ok


def test_a_session_opens_without_a_snapshot_too(runtime: Runtime) -> None:
    with WasmSession(Limits(), replace(runtime, snapshot=None)) as sandbox:
        assert sandbox.run("import random\nprint(6 * 7)").stdout == "42\n"


def test_other_programs_run_to_their_end_while_a_bomb_runs(sandbox: WasmSession, runtime: Runtime) -> None:
    with WasmSession(Limits(), runtime) as other:
        other.run("pass")
        events, num_ended = sandbox.stream("while True: print('x' * 100)", timeout_s=3.0), 0
        while sandbox._run is not None and num_ended < 3:
            assert other.run("print(1)").stdout == "1\n"
            num_ended += sandbox._run is not None
        sandbox.interrupt()
        assert list(events)
    assert num_ended == 3


def test_closing_kills_the_program_and_deletes_the_folder(runtime: Runtime) -> None:
    sandbox = WasmSession(Limits(), runtime)
    pid, num_threads = sandbox._guests[0].pid, threading.active_count()
    sandbox.stream("while True: pass", timeout_s=60)
    sandbox.close()
    assert not sandbox.folder.parent.exists()
    assert not psutil.pid_exists(pid)
    assert threading.active_count() < num_threads
    with pytest.raises(SandboxUnavailable, match="closed"):
        sandbox.run("pass")


def test_an_unreferenced_session_ends_its_guest(runtime: Runtime) -> None:
    sandbox = WasmSession(Limits(), runtime)
    pid, root = sandbox._guests[0].pid, sandbox.folder.parent
    del sandbox
    assert not psutil.pid_exists(pid)
    assert not root.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Deno is confined by the kernel on Linux only")
def test_deno_is_confined_by_the_kernel(sandbox: WasmSession) -> None:
    pid = sandbox._guests[0].pid
    facts = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert {facts[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    sandbox.run("while True: pass", timeout_s=0.3)
    busiest = max(psutil.Process(pid).threads(), key=lambda thread: thread.user_time).id
    assert os.getpriority(os.PRIO_PROCESS, busiest) == 5
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(5, os.getpriority(os.PRIO_PROCESS, 0))     # the main thread hears interrupts
    assert Path(f"/proc/{pid}/environ").read_bytes().count(b"=") == 1       # where its cache would be


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a guest with its host")
def test_a_guest_ends_with_its_host(runtime: Runtime) -> None:
    code = "import time, engine\nsandbox = engine.open_sandbox('wasm')\nprint(sandbox._guests[0].pid, flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        guest = psutil.Process(int(host.stdout.readline()))
        host.kill()
    psutil.wait_procs([guest], timeout=5)
    assert not guest.is_running() or guest.status() == psutil.STATUS_ZOMBIE
