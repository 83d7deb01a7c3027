"""The host's side of a guest in WebAssembly: a Deno process without permissions, and the frames to and from it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from glob import glob
from pathlib import Path

import psutil

from ..errors import SandboxUnavailable
from .base import Limits
from .folder import LimitExceeded, SessionFolder, Stamps
from .guest.setup import ExecSetup
from .guest_protocol import GuestMessage, ProgramEnded, ProtocolViolation, Ready, parse_message
from .packages import SYSTEM, interpreter
from .pipes import PIECE_BYTES, InvalidFrame, PipeFrame, Pipes
from .process import starter
from .runtime import GUEST, OFFLINE, SCRIPTS, Runtime, path_list
from .transfer import FileReceiver, changes

START_S = 60.0                          # 0.5 with a snapshot, 3 without; 17 measured with six other processes per core
INTERPRETER_BYTES = 384 << 20           # resident before any program: 230 MiB measured, plus what V8 retains
DATA_BYTES = 3 << 29                    # writable memory that V8 reserves in advance: 550 MiB measured on 2 cores
WASM_PAGE_BYTES, PYTHON_PAGES = 64 << 10, 480        # Python itself takes 30 MiB of WebAssembly memory
JAVASCRIPT_MB = 128                     # of JavaScript objects; Pyodide itself takes 27
NUM_OPEN_FILES = 256
NICENESS = 5                            # less than in the jail: Python is slower here and has to notice an interrupt in time
MAX_STDERR_CHARS = 300
BOOT = "import sys; sys.path.append(sys.argv[1]); from guest.confined_exec import main; main()"
OUTPUT, MESSAGE, INTERRUPT, RUN = b"o", b"a", b"i", b"r"


class DenoGuest:
    """One thread at a time may use it; `close` ends it."""

    keeps_files = False         # the files of a killed program are lost with its memory

    def __init__(self, files: SessionFolder, limits: Limits, runtime: Runtime) -> None:
        """Block until Python has started. Raises SandboxUnavailable."""
        self._files, self._limits = files, limits
        self._process: subprocess.Popen[bytes] = starter(os.getpid()).submit(_spawn, files, limits, runtime).result()
        self._pipes = Pipes(self._process)
        self._known: Stamps = {}
        self._receiver = FileReceiver(files, limits)
        self.num_bytes_printed = 0
        try:
            self._begin()
            self._psutil = psutil.Process(self.pid)
            self._max_threads = self._psutil.num_threads() + limits.num_threads
            _lower_priority(self.pid)
        except (SandboxUnavailable, psutil.Error, OSError) as error:
            how = self.close()
            raise error if isinstance(error, SandboxUnavailable) else SandboxUnavailable(f"Deno ended at once ({how})") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._pipes.is_open and self._process.poll() is None

    def start(self, code: str, nonce: bytes) -> None:
        self.num_bytes_printed = 0
        self._receiver = FileReceiver(self._files, self._limits)
        before, self._known = self._known, self._files.stamps()
        self._pipes.send(changes(self._files, before, self._known))
        self._pipes.send([PipeFrame(RUN, nonce + code.encode("utf-8", "replace"))])
        with contextlib.suppress(psutil.Error):
            self._psutil.resume()

    def exchange(self, timeout_s: float) -> tuple[bytes, list[GuestMessage]]:
        output, messages = bytearray(), list[GuestMessage]()
        try:
            for frame in self._pipes.receive(timeout_s):
                if frame.kind == OUTPUT and frame.payload:
                    output += frame.payload
                elif frame.kind == MESSAGE:
                    messages.append(parse_message(frame.payload))
                else:
                    self._receiver.take(frame)
        except InvalidFrame:
            messages.append(ProtocolViolation())
        self.num_bytes_printed += len(output)
        if any(isinstance(message, ProgramEnded) for message in messages):
            self._known = self._files.stamps()
        return bytes(output), messages

    def interrupt(self) -> None:
        self._pipes.send([PipeFrame(INTERRUPT)])

    def freeze(self) -> None:
        with contextlib.suppress(psutil.Error):
            self._psutil.suspend()

    def require_within_limits(self, folder: SessionFolder, limits: Limits) -> None:
        try:
            resident_bytes, num_threads = self._psutil.memory_info().rss, self._psutil.num_threads()
        except psutil.Error:
            return      # it has just ended
        if resident_bytes > INTERPRETER_BYTES + limits.memory_bytes + limits.folder_bytes:
            raise LimitExceeded(f"used more than {limits.memory_bytes >> 20} MiB of memory")
        if num_threads > self._max_threads:
            raise LimitExceeded(f"started more than {limits.num_threads} threads")

    def close(self) -> str:
        self._process.kill()
        code = self._process.wait()
        self._pipes.close()
        self._receiver.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _begin(self) -> None:
        deadline = time.monotonic() + START_S
        while self.is_alive and time.monotonic() < deadline:
            match self.exchange(deadline - time.monotonic())[1]:
                case [Ready(is_locked=True)]:
                    return
                case [_, *_]:
                    break
        self._process.kill()
        assert self._process.stderr is not None
        stderr = self._process.stderr.read(PIECE_BYTES).decode("utf-8", "replace")[-MAX_STDERR_CHARS:]
        raise SandboxUnavailable(f"Deno did not start Python {stderr}".strip())


def command(runtime: Runtime, limits: Limits) -> tuple[str, ...]:
    """The command line of Deno: its only permission is to read its own files, which it gives up before the first program."""
    pages = PYTHON_PAGES + limits.memory_bytes // WASM_PAGE_BYTES
    settings = {"pyodide": str(runtime.pyodide), "snapshot": str(runtime.snapshot or ""), "guest": str(GUEST),
                "limits": {name: getattr(limits, name) for name in ("file_bytes", "folder_bytes", "num_files")}}
    return (
        runtime.deno, "run", f"--v8-flags=--wasm-max-mem-pages={pages},--max-old-space-size={JAVASCRIPT_MB}", *OFFLINE,
        f"--allow-read={path_list(*readable(runtime))}", str(SCRIPTS / "main.mjs"), json.dumps(settings),
    )


def readable(runtime: Runtime) -> tuple[Path, ...]:
    return tuple(path for path in (runtime.pyodide, runtime.snapshot, SCRIPTS, GUEST) if path is not None)


def _spawn(files: SessionFolder, limits: Limits, runtime: Runtime) -> subprocess.Popen[bytes]:
    """Start the process. Raises SandboxUnavailable."""
    become, environment = command(runtime, limits), {"DENO_DIR": str(files.home / "deno")}
    if sys.platform.startswith("linux"):
        entry = ExecSetup(os.getpid(), (*SYSTEM, *map(str, readable(runtime))), (runtime.deno, *_loaders()),
                      DATA_BYTES + limits.memory_bytes + limits.folder_bytes, NUM_OPEN_FILES, limits.num_threads, become, environment)
        become = (interpreter(), "-I", "-S", "-X", "utf8", "-c", BOOT, str(SCRIPTS.parent), json.dumps(asdict(entry)))
        environment = {}
    elif sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")       # no process can start on Windows without it
    try:
        return subprocess.Popen(become, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=environment, cwd=files.home.anchor, close_fds=True, start_new_session=True)
    except OSError as error:
        raise SandboxUnavailable(f"Deno could not be started: {error.strerror}") from error


def _lower_priority(pid: int) -> None:
    """Lower the priority of Python's thread and V8's. The main thread keeps its own, to handle an interrupt when all cores are busy."""
    if sys.platform.startswith("linux"):
        for thread in os.listdir(f"/proc/{pid}/task"):
            if int(thread) != pid:
                with contextlib.suppress(ProcessLookupError):
                    os.setpriority(os.PRIO_PROCESS, int(thread), NICENESS)


def _loaders() -> tuple[str, ...]:
    """The dynamic linker of this distribution, which the kernel has to run in order to run Deno."""
    return tuple(sorted({os.path.realpath(path) for path in glob("/lib*/ld-linux*.so*") + glob("/lib/ld-musl*.so*")}))
