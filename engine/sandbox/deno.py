"""The host's end of one Python in WebAssembly: a Deno process without permissions, and the frames to and from it."""

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
from .answers import Answer, Ended, Odd, Ready, parse_answer
from .base import Limits
from .folder import BoxFolder, Stamps, TooMuch
from .guest.setup import Entry
from .packages import SYSTEM, interpreter
from .pipes import PIECE_BYTES, BadFrame, Frame, Pipes
from .process import starter
from .runtime import GUEST, OFFLINE, SCRIPTS, Runtime, path_list
from .transfer import Inbox, changes

START_S = 60.0                          # 0.5 with a snapshot, 3 without; 17 measured where six others wanted each core
INTERPRETER_BYTES = 384 << 20           # resident, before any program: 230 MiB measured, and room for what V8 keeps of it
DATA_BYTES = 3 << 29                    # written memory that V8 asks for in advance: 550 MiB measured on 2 cores
WASM_PAGE_BYTES, PYTHON_PAGES = 64 << 10, 480        # 30 MiB of WebAssembly memory are Python's own
JAVASCRIPT_MB = 128                     # of objects; 27 are Pyodide's own
NUM_OPEN_FILES = 256
NICENESS = 5                            # less than in the jail: a slower Python must get round to hear an interrupt in time
MAX_TOLD_CHARS = 300
BOOT = "import sys; sys.path.append(sys.argv[1]); from guest.enter import main; main()"
OUTPUT, ANSWER, INTERRUPT, RUN = b"o", b"a", b"i", b"r"


class DenoGuest:
    """One thread at a time may use it; `close` ends it."""

    keeps_files = False         # what a killed program wrote was in its memory

    def __init__(self, files: BoxFolder, limits: Limits, runtime: Runtime) -> None:
        """Blocks until Python has started. Raises SandboxUnavailable."""
        self._files, self._limits = files, limits
        self._process: subprocess.Popen[bytes] = starter(os.getpid()).submit(_spawn, files, limits, runtime).result()
        self._pipes = Pipes(self._process)
        self._known: Stamps = {}
        self._inbox = Inbox(files, limits)
        self.num_bytes_printed = 0
        try:
            self._begin()
            self._watched = psutil.Process(self.pid)
            self._max_threads = self._watched.num_threads() + limits.num_threads
            _step_back(self.pid)
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
        self._inbox = Inbox(self._files, self._limits)
        before, self._known = self._known, self._files.stamps()
        self._pipes.send(changes(self._files, before, self._known))
        self._pipes.send([Frame(RUN, nonce + code.encode("utf-8", "replace"))])
        with contextlib.suppress(psutil.Error):
            self._watched.resume()

    def exchange(self, timeout_s: float) -> tuple[bytes, list[Answer]]:
        output, answers = bytearray(), list[Answer]()
        try:
            for frame in self._pipes.receive(timeout_s):
                if frame.kind == OUTPUT and frame.payload:
                    output += frame.payload
                elif frame.kind == ANSWER:
                    answers.append(parse_answer(frame.payload))
                else:
                    self._inbox.take(frame)
        except BadFrame:
            answers.append(Odd())
        self.num_bytes_printed += len(output)
        if any(isinstance(answer, Ended) for answer in answers):
            self._known = self._files.stamps()
        return bytes(output), answers

    def interrupt(self) -> None:
        self._pipes.send([Frame(INTERRUPT)])

    def freeze(self) -> None:
        with contextlib.suppress(psutil.Error):
            self._watched.suspend()

    def require_moderation(self, folder: BoxFolder, limits: Limits) -> None:
        try:
            resident_bytes, num_threads = self._watched.memory_info().rss, self._watched.num_threads()
        except psutil.Error:
            return      # it has just died
        if resident_bytes > INTERPRETER_BYTES + limits.memory_bytes + limits.folder_bytes:
            raise TooMuch(f"used more than {limits.memory_bytes >> 20} MiB of memory")
        if num_threads > self._max_threads:
            raise TooMuch(f"started more than {limits.num_threads} threads")

    def close(self) -> str:
        self._process.kill()
        code = self._process.wait()
        self._pipes.close()
        self._inbox.close()
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
        told = self._process.stderr.read(PIECE_BYTES).decode("utf-8", "replace")[-MAX_TOLD_CHARS:]
        raise SandboxUnavailable(f"Deno did not start Python {told}".strip())


def command(runtime: Runtime, limits: Limits) -> tuple[str, ...]:
    """Deno's, with no permission but to read its own files, which it gives up before the first program."""
    pages = PYTHON_PAGES + limits.memory_bytes // WASM_PAGE_BYTES
    settings = {"pyodide": str(runtime.pyodide), "snapshot": str(runtime.snapshot or ""), "guest": str(GUEST),
                "limits": {name: getattr(limits, name) for name in ("file_bytes", "folder_bytes", "num_files")}}
    return (
        runtime.deno, "run", f"--v8-flags=--wasm-max-mem-pages={pages},--max-old-space-size={JAVASCRIPT_MB}", *OFFLINE,
        f"--allow-read={path_list(*readable(runtime))}", str(SCRIPTS / "main.mjs"), json.dumps(settings),
    )


def readable(runtime: Runtime) -> tuple[Path, ...]:
    return tuple(path for path in (runtime.pyodide, runtime.snapshot, SCRIPTS, GUEST) if path is not None)


def _spawn(files: BoxFolder, limits: Limits, runtime: Runtime) -> subprocess.Popen[bytes]:
    """Raises SandboxUnavailable."""
    become, environment = command(runtime, limits), {"DENO_DIR": str(files.home / "deno")}
    if sys.platform.startswith("linux"):
        entry = Entry(os.getpid(), (*SYSTEM, *map(str, readable(runtime))), (runtime.deno, *_loaders()),
                      DATA_BYTES + limits.memory_bytes + limits.folder_bytes, NUM_OPEN_FILES, limits.num_threads, become, environment)
        become = (interpreter(), "-I", "-S", "-X", "utf8", "-c", BOOT, str(SCRIPTS.parent), json.dumps(asdict(entry)))
        environment = {}
    elif sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")       # without it no process can start there
    try:
        return subprocess.Popen(become, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=environment, cwd=files.home.anchor, close_fds=True, start_new_session=True)
    except OSError as error:
        raise SandboxUnavailable(f"Deno could not be started: {error.strerror}") from error


def _step_back(pid: int) -> None:
    """Python's thread, and those of V8, come after the page. The main one does not: it must hear an interrupt when all cores are busy."""
    if sys.platform.startswith("linux"):
        for thread in os.listdir(f"/proc/{pid}/task"):
            if int(thread) != pid:
                with contextlib.suppress(ProcessLookupError):
                    os.setpriority(os.PRIO_PROCESS, int(thread), NICENESS)


def _loaders() -> tuple[str, ...]:
    """What the kernel runs in order to run Deno: the dynamic linker of this distribution."""
    return tuple(sorted({os.path.realpath(path) for path in glob("/lib*/ld-linux*.so*") + glob("/lib/ld-musl*.so*")}))
