"""Every attack on the wasm tier is refused, and nothing on the host has changed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from engine import RunResult
from engine.sandbox.wasm import WasmSession

from .conftest import TOKEN, Host
from .programs import Program, read_programs

PRELUDE, *ATTACKS = read_programs("attacks_wasm.txt")
SHORT_S = 0.3
# A program may write to the pipe itself: Deno has no permission for that.
FRAMES = """
import time
from pyodide.ffi import to_js
def raw(data): js.Deno.stdout.writeSync(to_js(data))
def frame(kind, data): raw(kind + len(data).to_bytes(4, "little") + data)
"""
# Of the jail's attacks those that ask for no C, and aim at something that WebAssembly does not merely pretend: its `/` is its own.
PRETENDED = {
    "read: root listing", "read: temporary files listing", "read: the terminal", "read: shared memory",
    "write: a new file beside its folder", "write: a new file two above", "write: symbolic link",
    "network: dns", "network: dns of this machine", "process: a pickle of another kind", "endless: stopping itself",
}
OF_THE_JAIL = [one for one in read_programs("attacks.txt")[1:]
               if one.title not in PRETENDED and not one.title.startswith("lie: ") and not re.search(r"libc|ctypes|call\(", one.code)]
REFUSAL = (r"Errno|Error: .*(has no attribute|No module named|not available|lacks|can't start|index-sized|cannot be started)|MemoryError|"
           r"the time limit|ended the Python process|used more than 512 MiB")


@pytest.fixture(autouse=True)
def _host_is_untouched(wasm_host: Host) -> Iterator[None]:
    before = wasm_host.state()
    yield
    assert wasm_host.state() == before
    assert wasm_host.other.run("print('well')").stdout == "well\n"


def attack(sandbox: WasmSession, host: Host, prelude: str, program: Program, expected: str) -> RunResult:
    for path in sandbox.folder.iterdir():       # what an attack before left there
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    is_endless = program.title.startswith("endless: ")
    result = sandbox.run(f"{host.constants}\n{prelude}\n{program.code}", timeout_s=SHORT_S if is_endless else 10.0)
    assert "ESCAPED" not in result.stdout
    assert not result.ok
    assert re.search(expected, result.error), result.error
    assert len(result.stdout) + len(result.error) < 210_000
    assert result.seconds < (SHORT_S + 1.0 if is_endless else 12.0)
    return result


def of_kinds(programs: list[Program], *kinds: str) -> pytest.MarkDecorator:
    found = [program for program in programs if program.title.split(":")[0] in kinds]
    return pytest.mark.parametrize("program", found, ids=lambda program: program.title)


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 60
    assert len(OF_THE_JAIL) >= 60


@of_kinds(OF_THE_JAIL, "read", "write", "network", "process")
def test_python_cannot_reach_the_host(wasm_session: WasmSession, wasm_host: Host, program: Program) -> None:
    attack(wasm_session, wasm_host, "import os, socket", program, f"{program.expected.strip()}|{REFUSAL}")


@of_kinds(OF_THE_JAIL, "bomb", "endless")
def test_a_bomb_is_stopped_at_a_limit_and_the_session_continues(wasm_session: WasmSession, wasm_host: Host, program: Program) -> None:
    attack(wasm_session, wasm_host, "import os", program, f"{program.expected.strip()}|{REFUSAL}")
    assert wasm_session.run("print('again')").stdout == "again\n"


@of_kinds(ATTACKS, "read", "write", "network", "process")
def test_javascript_can_do_no_more_than_python(wasm_session: WasmSession, wasm_host: Host, program: Program) -> None:
    attack(wasm_session, wasm_host, PRELUDE.code, program, program.expected.strip())


@of_kinds(ATTACKS, "bomb", "endless")
def test_a_javascript_bomb_is_stopped_and_the_session_continues(wasm_session: WasmSession, wasm_host: Host, program: Program) -> None:
    attack(wasm_session, wasm_host, PRELUDE.code, program, program.expected.strip())
    assert wasm_session.run("print('again')").stdout == "again\n"


@of_kinds(ATTACKS, "lie")
def test_a_forged_message_is_never_accepted_as_a_clean_run(wasm_session: WasmSession, wasm_host: Host, program: Program) -> None:
    waiting = Program(program.title, f"{program.code}\ntime.sleep(9)", "")
    attack(wasm_session, wasm_host, PRELUDE.code + FRAMES, waiting, program.expected.strip())
    following = wasm_session.run("print('again')")
    assert not following.ok or following.stdout == "again\n"
    assert wasm_session.run("print('again')").stdout == "again\n"


def test_the_emulated_file_system_contains_nothing_of_the_host(wasm_session: WasmSession, wasm_host: Host) -> None:
    code = "import os\nos.symlink(SECRET, 'mine')\nprint(os.path.exists('mine'), *(sorted(os.listdir(name)) for name in ('/', '/home')))"
    result = wasm_session.run(f"{wasm_host.constants}\n{code}")
    assert result.stdout == "False ['box', 'dev', 'home', 'lib', 'proc', 'tmp'] ['box', 'pyodide', 'web_user']\n"
    assert result.files == ()


def test_the_hosts_secrets_are_not_in_the_environment(wasm_session: WasmSession) -> None:
    found = wasm_session.run("import os, js\nprint(dict(os.environ))\njs.eval('Deno.env.toObject()')")
    assert TOKEN not in found.stdout + found.error
    assert "NotCapable" in found.error


def test_files_with_forged_names_are_stored_in_the_folder_or_not_at_all(wasm_session: WasmSession, wasm_host: Host) -> None:
    wasm_session.run(f"import js{FRAMES}frame(b'n', b'own/file.txt'), frame(b'd', b'mine'), frame(b'e', b'')")
    assert (wasm_session.folder / "own" / "file.txt").read_bytes() == b"mine"
    assert sorted(path.name for path in wasm_session.folder.parent.iterdir()) == ["home", "libraries", "work"]
