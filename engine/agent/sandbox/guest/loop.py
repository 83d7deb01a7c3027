"""The guest: locks itself in, then runs one program after the other in the same namespace, until the host closes the pipe.

Started by the host as `python -I -S`, with commands on standard input, output and errors on 1 and 2, answers on a pipe of their own.
A command is 4 bytes of length, JSON, and 16 random bytes. Those stay in the pipe until the program has ended, and are the key to its
answer: a program that writes an answer itself must find them first, and they open only its own run.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from types import ModuleType

from . import figures, manners, report
from .interrupts import Interrupts
from .kernel import Unlocked
from .lockdown import lock_down
from .setup import NONCE_BYTES, Setup


class Channel:
    """The two ends that lead to the host."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers

    def command(self) -> dict[str, object]:
        """Blocks. Raises EOFError when the host has closed the pipe."""
        command: dict[str, object] = json.loads(self._read(int.from_bytes(self._read(4), "little")))
        return command

    def nonce(self) -> str:
        return self._read(NONCE_BYTES).hex()

    def answer(self, **facts: object) -> None:
        data = DUMPS(facts).encode() + b"\n"
        while data:
            data = data[WRITE(self._answers, data):]

    def _read(self, num_bytes: int) -> bytes:
        data = b""
        while len(data) < num_bytes:
            piece = READ(self._commands, num_bytes - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


# Kept, since a program may replace what its own `os` and `json` hold.
READ, WRITE, DUMPS, CHDIR = os.read, os.write, json.dumps, os.chdir


class Programs:
    """One namespace, `__main__`, in which all programs of this guest run."""

    def __init__(self, work: str) -> None:
        self._work, self._count = work, 0
        self._interrupts = Interrupts()
        self._main = ModuleType("__main__")
        self._main.__file__ = os.path.join(work, report.NAME)
        sys.modules["__main__"] = self._main
        report.show_names_of_programs(work)

    def run(self, code: str) -> str:
        """What went wrong; empty when nothing did."""
        self._count += 1
        CHDIR(self._work)
        manners.restore()
        self._interrupts.arm()
        out, err = manners.open_streams()
        error = self._run(code)
        for stream in (out, err):
            with contextlib.suppress(OSError, ValueError):      # the program may have closed it
                stream.flush()
        return error

    def _run(self, code: str) -> str:
        error = ""
        try:
            with self._interrupts:
                error = self._execute(code)
                figures.finish(is_saved=not error)
        except BaseException as raised:
            error = report.describe(raised, self._work)
        return error

    def _execute(self, code: str) -> str:
        try:
            exec(compile(code, report.remember_source(code, self._count), "exec", dont_inherit=True), self._main.__dict__)
            manners.wait_for_threads()
        except SystemExit as leaving:
            return "" if leaving.code in (None, 0) else f"The program ended itself: exit({leaving.code!r})."
        except BaseException as raised:
            return report.describe(raised, self._work)
        return ""


def main() -> None:
    sys.dont_write_bytecode = True      # from here on: these modules themselves start faster from a cache
    channel = Channel(os.dup(0), int(sys.argv[2]))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    setup = Setup(**channel.command())  # type: ignore[arg-type]
    sys.path[:] = [*(path for path in sys.path if path != sys.argv[1]), setup.libraries, setup.work]
    sys.meta_path.insert(0, figures.PyplotFinder)
    programs = Programs(setup.work)
    manners.settle(setup.home, setup.work)
    try:
        channel.answer(ready=True, landlock=lock_down(setup))
    except (Unlocked, OSError) as error:
        channel.answer(ready=False, reason=str(error))
        return
    _serve(channel, programs)


def _serve(channel: Channel, programs: Programs) -> None:
    while True:
        try:
            command = channel.command()
        except EOFError:
            os._exit(0)
        error = programs.run(str(command["code"]))
        channel.answer(error=error, nonce=channel.nonce())
