"""The guest in the jail: confines itself, then runs programs in one namespace until the host closes the pipe.

The host starts it as `python -I -S`: commands on standard input, output and errors on 1 and 2, messages on a separate pipe.
A command is 4 bytes of length, JSON, and a nonce of 16 random bytes. The nonce stays in the pipe until the program has ended and
authenticates the message about it: a program that forges that message has to find the nonce, which is valid for its own run only.
"""

from __future__ import annotations

import json
import os
import sys

from . import environment, figures
from .kernel import LockdownFailed
from .lockdown import lock_down
from .programs import Programs
from .setup import NONCE_BYTES, JailSetup


class Channel:
    """The pipes from and to the host."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers

    def command(self) -> dict[str, object]:
        """The next command; blocks. Raises EOFError when the host has closed the pipe."""
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


# Kept, since a program may replace functions in `os` and `json`.
READ, WRITE, DUMPS = os.read, os.write, json.dumps


def main() -> None:
    sys.dont_write_bytecode = True      # only from here on: these modules load faster from a cache
    channel = Channel(os.dup(0), int(sys.argv[2]))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    setup = JailSetup(**channel.command())  # type: ignore[arg-type]
    sys.path[:] = [*(path for path in sys.path if path != sys.argv[1]), setup.libraries, setup.work]
    sys.meta_path.insert(0, figures.PyplotFinder)
    programs = Programs(setup.work)
    environment.prepare(setup.home)
    environment.tolerate_mode_changes(setup.home, setup.work)
    try:
        channel.answer(ready=True, landlock=lock_down(setup))
    except (LockdownFailed, OSError) as error:
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
