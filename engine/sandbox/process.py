"""The host's side of a guest in the jail: starts its process, talks to it through pipes, sends it signals.

A message that is not one line of the expected form is a ProtocolViolation and ends the run.
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
from .base import Limits
from .folder import SessionFolder
from .guest.setup import JailSetup
from .guest_protocol import GuestMessage, ProtocolViolation, Ready, parse_message
from .packages import interpreter
from .usage import require_within_limits

START_S = 10.0                  # a guest takes 0.05 s; a machine under load may take longer
MAX_MESSAGE_BYTES = 64 << 10     # a real report has at most 4,000 characters
PIPE_BYTES = 64 << 10           # capacity of a pipe: one read empties it
BOOT = "import sys; sys.path.append(sys.argv[1]); from guest.loop import main; main()"


class GuestProcess:
    """A confined interpreter that waits for programs. One thread at a time may use it; `close` ends it."""

    keeps_files = True

    def __init__(self, setup: JailSetup) -> None:
        """Block until the guest has confined itself. Raises SandboxUnavailable."""
        # The kernel kills a guest when the thread that started it ends (see lockdown), so one that never ends starts it.
        self._process, self._messages = starter(os.getpid()).submit(_spawn).result()
        self._commands, self._output = _raw(self._process)
        for pipe in (self._commands, self._output, self._messages):
            os.set_blocking(pipe, False)
        self._open = {self._output, self._messages}
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
        return self._messages in self._open and self._process.poll() is None

    def start(self, code: str, nonce: bytes) -> None:
        """Send a program; it runs while `exchange` is called."""
        self.num_bytes_printed = 0
        self._queue({"code": code}, nonce)
        self._process.send_signal(signal.SIGCONT)

    def exchange(self, timeout_s: float) -> tuple[bytes, list[GuestMessage]]:
        """Write what is pending, wait for output and messages, and return what arrived."""
        readable = self._wait(timeout_s)
        messages = self._take_messages() if self._messages in readable else []
        # A message is sent after all output, so all output is in the pipe by now.
        output = self._read(self._output) if self._output in readable or (messages and self._output in self._open) else b""
        self.num_bytes_printed += len(output)
        return output, messages

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def freeze(self) -> None:
        """Suspend the process, so that threads that a program left behind do nothing between two programs."""
        self._process.send_signal(signal.SIGSTOP)

    def require_within_limits(self, folder: SessionFolder, limits: Limits) -> None:
        require_within_limits(self.pid, folder, limits)

    def close(self) -> str:
        """Kill the process if it is still alive. Returns how it ended, as text."""
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self._messages)
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _wait(self, timeout_s: float) -> set[int]:
        """Return the pipes that have data or have ended; writes meanwhile. Not `select`, which fails for file descriptors above 1023."""
        poller = select.poll()
        for pipe in self._open:
            poller.register(pipe, select.POLLIN)
        if self._unsent:
            poller.register(self._commands, select.POLLOUT)
        ready = {pipe for pipe, _ in poller.poll(max(timeout_s, 0) * 1000)}
        if self._commands in ready:
            self._write()
        return ready

    def _begin(self, setup: JailSetup) -> None:
        self._queue(asdict(setup))
        printed, deadline = b"", time.monotonic() + START_S
        while self.is_alive and time.monotonic() < deadline:
            output, messages = self.exchange(deadline - time.monotonic())
            printed = (printed + output)[-300:]
            match messages:
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
            self._unsent = b""      # the process has ended; the other pipe reports that

    def _read(self, pipe: int) -> bytes:
        try:
            data = os.read(pipe, PIPE_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self._open.discard(pipe)
        return data

    def _take_messages(self) -> list[GuestMessage]:
        *lines, self._unread = (self._unread + self._read(self._messages)).split(b"\n")
        if len(self._unread) > MAX_MESSAGE_BYTES:
            return [ProtocolViolation()]
        return [parse_message(line) for line in lines]


@cache
def starter(host: int) -> ThreadPoolExecutor:
    """Return the thread that starts all guests of the process `host`; a forked child gets another one."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")


def _spawn() -> tuple[subprocess.Popen[bytes], int]:
    """Start the process; return it and the pipe for its messages. Raises SandboxUnavailable."""
    messages, theirs = os.pipe()
    command = [interpreter(), "-I", "-S", "-X", "utf8", "-c", BOOT, str(Path(__file__).parent), str(theirs)]
    try:
        process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={}, cwd="/", close_fds=True, pass_fds=(theirs,), start_new_session=True)
    except OSError as error:
        os.close(messages)
        raise SandboxUnavailable(f"the interpreter could not be started: {error.strerror}") from error
    finally:
        os.close(theirs)
    return process, messages


def _raw(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin.fileno(), process.stdout.fileno()
