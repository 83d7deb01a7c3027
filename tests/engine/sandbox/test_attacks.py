"""Every attack is refused, and nothing on the host has changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from engine import RunResult
from engine.sandbox.base import Limits
from engine.sandbox.jail import JailSession

from .conftest import TOKEN, Host
from .programs import Program, read_programs

PRELUDE, *ATTACKS = read_programs("attacks.txt")
SHORT_S = 0.3
ANSWER = """import fcntl, json, os
for handle in range(3, 1024):
    try: way = fcntl.fcntl(handle, fcntl.F_GETFL) & 3
    except OSError: continue
    if way == os.O_RDONLY: commands = handle
    if way == os.O_WRONLY: answers = handle
def answer(**facts): os.write(answers, json.dumps(facts).encode() + b"\\n")
"""


@pytest.fixture(autouse=True)
def _host_is_untouched(host: Host) -> Iterator[None]:
    before = host.state()
    yield
    assert host.state() == before
    assert host.other.run("print('well')").stdout == "well\n"


def attack(sandbox: JailSession, host: Host, program: Program, timeout_s: float = 10.0) -> RunResult:
    result = sandbox.run(f"{host.constants}\n{PRELUDE.code}\n{program.code}", timeout_s=timeout_s)
    assert "ESCAPED" not in result.stdout
    assert not result.ok
    assert re.search(program.expected.strip(), result.error), result.error
    return result


def of_kind(kind: str) -> pytest.MarkDecorator:
    found = [program for program in ATTACKS if program.title.startswith(f"{kind}: ")]
    return pytest.mark.parametrize("program", found, ids=lambda program: program.title.removeprefix(f"{kind}: "))


def test_there_are_enough_attacks() -> None:
    assert len({program.code for program in ATTACKS}) >= 60


@of_kind("read")
def test_files_outside_the_sandbox_cannot_be_read(sandbox: JailSession, host: Host, program: Program) -> None:
    attack(sandbox, host, program)


@of_kind("write")
def test_nothing_outside_can_be_changed(sandbox: JailSession, host: Host, program: Program) -> None:
    attack(sandbox, host, program)


@of_kind("network")
def test_there_is_no_network(sandbox: JailSession, host: Host, program: Program) -> None:
    attack(sandbox, host, program)


@of_kind("process")
def test_other_processes_and_the_machine_are_out_of_reach(sandbox: JailSession, host: Host, program: Program) -> None:
    attack(sandbox, host, program)


@of_kind("bomb")
def test_a_bomb_is_stopped_at_a_limit_and_the_session_continues(sandbox: JailSession, host: Host, program: Program) -> None:
    result = attack(sandbox, host, program)
    assert len(result.stdout) + len(result.error) < 210_000
    assert sandbox.run("print('again')").stdout == "again\n"


@of_kind("endless")
def test_endless_programs_are_stopped_and_the_session_continues(sandbox: JailSession, host: Host, program: Program) -> None:
    assert attack(sandbox, host, program, timeout_s=SHORT_S).seconds < SHORT_S + 1.0
    assert sandbox.run("print('again')").stdout == "again\n"


@of_kind("lie")
def test_a_forged_message_is_never_accepted_as_a_clean_run(sandbox: JailSession, host: Host, program: Program) -> None:
    attack(sandbox, host, program)
    following = sandbox.run("print('again')")
    assert not following.ok or following.stdout == "again\n"
    assert sandbox.run("print('again')").stdout == "again\n"


def test_the_hosts_secrets_are_not_in_the_environment(sandbox: JailSession) -> None:
    code = "import ctypes, os\nlibc = ctypes.CDLL(None)\nprint(dict(os.environ), libc.getenv(b'HF_TOKEN'), libc.getenv(b'PATH'))"
    found = sandbox.run(code).stdout
    assert TOKEN not in found
    assert found.endswith("} 0 0\n")


def test_only_its_own_pipes_are_open(sandbox: JailSession) -> None:
    code = "import os, stat\nfor n in range(1024):\n    try: print(stat.filemode(os.fstat(n).st_mode)[0], end='')\n    except OSError: pass"
    assert sandbox.run(code).stdout == "cpppp"      # /dev/null; output, twice; commands and answers


def test_the_nonce_of_a_run_is_nowhere_in_the_interpreter(sandbox: JailSession) -> None:
    hunt = """import gc, re, sys
frame, found = sys._getframe(), []
while frame:
    found.append(repr(frame.f_locals))
    frame = frame.f_back
found += [repr(thing) for thing in gc.get_objects() if isinstance(thing, dict | list | tuple) and len(thing) < 50 and thing is not found]
print(len(found) > 1000, re.findall("[0-9a-f]{32}", " ".join(found)))"""
    assert sandbox.run(hunt).stdout == "True []\n"


def test_a_stolen_nonce_is_valid_for_its_own_run_only(sandbox: JailSession) -> None:
    sandbox.run(f"{ANSWER}answer(error='', nonce=os.read(commands, 16).hex())\nimport time\ntime.sleep(0.2)")
    following = sandbox.run("print('mine')")
    assert not following.ok
    assert sandbox.run("print('mine')").stdout == "mine\n"


def test_a_second_message_about_one_run_ends_it(sandbox: JailSession) -> None:
    result = sandbox.run(f"{ANSWER}line = json.dumps({{'error': '', 'nonce': os.read(commands, 16).hex()}}).encode() + b'\\n'\n"
                     "os.write(answers, line + line)\nimport time\ntime.sleep(1)")
    assert not result.ok
    assert "own channel" in result.error


def test_a_forged_message_on_standard_output_is_treated_as_output(sandbox: JailSession) -> None:
    result = sandbox.run("print('{\"error\": \"\", \"nonce\": \"00\"}')\n1 / 0")
    assert not result.ok
    assert result.stdout == '{"error": "", "nonce": "00"}\n'


def test_a_program_cannot_break_the_next_one_by_what_it_leaves_behind(sandbox: JailSession) -> None:
    sandbox.run("import json, os, signal, sys\nos.write = os.read = json.dumps = os.chdir = None\nsys.stdout = None\n"
            "signal.signal(signal.SIGINT, signal.SIG_IGN)\nsys.setrecursionlimit(50)\nsys.settrace(lambda *a: 1 / 0)\n"
            "open('random.py', 'w').write('boom')")
    assert sandbox.run("import random, decimal\nprint(len('abc'))").stdout == "3\n"
    assert not sandbox.run("while True: pass", timeout_s=0.1).killed


def test_file_names_that_cannot_be_shown_or_sent_are_not_reported(sandbox: JailSession) -> None:
    files = sandbox.run("for name in (b'a\\nb', b'\\xff', b'a<b>', '\\u202eexe.txt'.encode()): open(name, 'w').write('x')").files
    assert [file.name for file in files] == ["a<b>"]


def test_lone_surrogates_in_errors_and_output_can_be_shown(sandbox: JailSession) -> None:
    result = sandbox.run("import os\nos.write(1, b'\\xff')\nprint(chr(0xD800))\nraise ValueError(chr(0xD800))")
    assert (result.stdout + result.error).encode("utf-8")
    assert "ValueError: ?" in result.error


def test_unreadable_and_deep_folders_are_deleted_with_the_session() -> None:
    with JailSession(Limits()) as sandbox:
        root = sandbox.folder.parent
        sandbox.run("import os\nos.mkdir('closed', 0)\nfor n in range(400):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)")
    assert not root.exists()
