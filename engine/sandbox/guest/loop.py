"""The guest: locks itself in, then runs one program after the other in the same namespace, until the host closes the pipe.

Started by the host as `python -I -S`, with commands on standard input, output and errors on 1 and 2, answers on a pipe of their own.
A command is 4 bytes of length, JSON, and 16 random bytes. Those stay in the pipe until the program has ended, and are the key to its
answer: a program that writes an answer itself must find them first, and they open only its own run.
"""

from __future__ import annotations

import json
import os
import sys

from . import figures, manners
from .kernel import Unlocked
from .lockdown import lock_down
from .programs import Programs
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
READ, WRITE, DUMPS = os.read, os.write, json.dumps


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
    manners.settle(setup.home)
    manners.settle_modes(setup.home, setup.work)
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
