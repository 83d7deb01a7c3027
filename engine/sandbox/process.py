"""The host's end of one guest process: starting it, pipes to and from it, signals.

An answer that is not one line of the expected form is Odd, and ends the run it came in.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path

from ..errors import SandboxUnavailable
from .answers import Answer, Odd, Ready, parse_answer
from .base import Limits
from .folder import BoxFolder
from .guest.setup import Setup
from .packages import interpreter
from .watch import require_moderation

START_S = 10.0                  # a guest takes 0.05; a machine under load may take longer
MAX_ANSWER_BYTES = 64 << 10     # an honest report has at most 4,000 characters
PIPE_BYTES = 64 << 10           # what a pipe holds: one read empties it
BOOT = "import sys; sys.path.append(sys.argv[1]); from guest.loop import main; main()"


class GuestProcess:
    """Locked in, waiting for a program. One thread at a time may use it; `close` ends it."""

    keeps_files = True

    def __init__(self, setup: Setup) -> None:
        """Blocks until the guest has locked itself in. Raises SandboxUnavailable."""
        # The kernel kills a guest when the thread that started it ends (see lockdown): so it is one that never does.
        self._process, self._answers = starter(os.getpid()).submit(_spawn).result()
        self._commands, self._output = _raw(self._process)
        for pipe in (self._commands, self._output, self._answers):
            os.set_blocking(pipe, False)
        self._open = {self._output, self._answers}
        self._unsent, self._unread = b"", b""
        self.num_bytes_printed = 0
        try:
            self._begin(setup)
        except SandboxUnavailable:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._answers in self._open and self._process.poll() is None

    def start(self, code: str, nonce: bytes) -> None:
        """Hand over a program; it runs while `exchange` is called."""
        self.num_bytes_printed = 0
        self._queue({"code": code}, nonce)
        self._process.send_signal(signal.SIGCONT)

    def exchange(self, timeout_s: float) -> tuple[bytes, list[Answer]]:
        """Write what is left to write, wait until something comes: what was printed, and whole answers."""
        readable = self._wait(timeout_s)
        answers = self._take_answers() if self._answers in readable else []
        # An answer is sent after everything that was printed: so that lies in the pipe by now.
        output = self._read(self._output) if self._output in readable or (answers and self._output in self._open) else b""
        self.num_bytes_printed += len(output)
        return output, answers

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def freeze(self) -> None:
        """Threads that a program left behind do nothing between two programs."""
        self._process.send_signal(signal.SIGSTOP)

    def require_moderation(self, folder: BoxFolder, limits: Limits) -> None:
        require_moderation(self.pid, folder, limits)

    def close(self) -> str:
        """Kill it if it still lives. Returns how it ended, for people."""
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self._answers)
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _wait(self, timeout_s: float) -> set[int]:
        """The pipes that have something, or have ended; writes meanwhile. Not `select`: a busy host has handles beyond 1023."""
        poller = select.poll()
        for pipe in self._open:
            poller.register(pipe, select.POLLIN)
        if self._unsent:
            poller.register(self._commands, select.POLLOUT)
        ready = {pipe for pipe, _ in poller.poll(max(timeout_s, 0) * 1000)}
        if self._commands in ready:
            self._write()
        return ready

    def _begin(self, setup: Setup) -> None:
        self._queue(asdict(setup))
        printed, deadline = b"", time.monotonic() + START_S
        while self.is_alive and time.monotonic() < deadline:
            output, answers = self.exchange(deadline - time.monotonic())
            printed = (printed + output)[-300:]
            match answers:
                case [Ready(is_locked=True)]:
                    return
                case [Ready(reason=reason)]:
                    raise SandboxUnavailable(reason)
        raise SandboxUnavailable(f"the guest process did not start {printed.decode('utf-8', 'replace')}".strip())

    def _queue(self, command: dict[str, object], nonce: bytes = b"") -> None:
        body = json.dumps(command).encode()
        self._unsent += len(body).to_bytes(4, "little") + body + nonce

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self._commands, self._unsent[:PIPE_BYTES]):]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._unsent = b""      # it died; the other pipe tells

    def _read(self, pipe: int) -> bytes:
        try:
            data = os.read(pipe, PIPE_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self._open.discard(pipe)
        return data

    def _take_answers(self) -> list[Answer]:
        *lines, self._unread = (self._unread + self._read(self._answers)).split(b"\n")
        if len(self._unread) > MAX_ANSWER_BYTES:
            return [Odd()]
        return [parse_answer(line) for line in lines]


@cache
def starter(host: int) -> ThreadPoolExecutor:
    """The thread that starts all guests of this process, `host`; a fork of it gets one of its own."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")


def _spawn() -> tuple[subprocess.Popen[bytes], int]:
    """The process, and the pipe of its answers. Raises SandboxUnavailable."""
    answers, theirs = os.pipe()
    command = [interpreter(), "-I", "-S", "-X", "utf8", "-c", BOOT, str(Path(__file__).parent), str(theirs)]
    try:
        process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={}, cwd="/", close_fds=True, pass_fds=(theirs,), start_new_session=True)
    except OSError as error:
        os.close(answers)
        raise SandboxUnavailable(f"the interpreter could not be started: {error.strerror}") from error
    finally:
        os.close(theirs)
    return process, answers


def _raw(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin.fileno(), process.stdout.fileno()
