"""Real escape attempts against every tier before it is used. If one succeeds, or the probe fails, the tier is off.

Each attempt is a program that prints `refused` if it was stopped; the host then checks independently that nothing has changed.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError, SandboxUnavailable
from .base import Limits, Sandbox, Tier, TierReport
from .jail import JailTier
from .runtime import SCRIPTS
from .wasm import WasmTier

log = logging.getLogger(__name__)
_reports: dict[str, TierReport] = {}
_probing = threading.Lock()
TIERS: tuple[Tier, ...] = (JailTier(), WasmTier())     # the best first
# All environment variables of a guest; none comes from the host.
VARIABLES = {"HOME", "TMPDIR", "LANG", "LC_CTYPE", "MPLCONFIGDIR", "MPLBACKEND",
             "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"}
NUM_TRIES, MAX_STOP_S = 3, 3.0      # a loaded machine stops programs late, which is not an escape
PROGRAM = """
import os
try:
    {attempt}
except (OSError, MemoryError, ImportError, StopIteration):
    print("refused")
except Exception as error:
    print("refused" if type(error).__name__ == "JsException" and error.name == "NotCapable" else repr(error))
else:
    print("done")
"""


@dataclass(frozen=True, slots=True)
class EscapeAttempt:
    """`code`: one line, which raises one of the errors in PROGRAM if it is refused."""

    what: str
    code: str


def attempts(outside: Path, tier: str) -> tuple[EscapeAttempt, ...]:
    """`outside`: a folder of the host that contains a file `secret`."""
    secret, host = str(outside / "secret"), os.getpid()
    return (
        EscapeAttempt("read /etc/passwd", "open('/etc/passwd').read()"),
        EscapeAttempt("read the application's files", f"open({__file__!r}).read()"),
        EscapeAttempt("list the application's folder", f"os.listdir({str(Path(__file__).parent)!r})"),
        EscapeAttempt("read a file of the host", f"open({secret!r}).read()"),
        EscapeAttempt("read the host's environment", f"open('/proc/{host}/environ').read()"),
        EscapeAttempt("read its own process folder", "open('/proc/self/environ').read()"),
        EscapeAttempt("find more than its own environment", f"next(iter(set(os.environ) - {VARIABLES}))"),
        EscapeAttempt("write outside", f"open({str(outside / 'new')!r}, 'w').write('x')"),
        EscapeAttempt("overwrite a file of the host", f"open({secret!r}, 'w')"),
        EscapeAttempt("delete a file of the host", f"os.remove({secret!r})"),
        EscapeAttempt("change a mode", f"os.chmod({secret!r}, 0o777)"),
        EscapeAttempt("start a program", "import subprocess; subprocess.run(['/bin/true'])"),
        *(_by_javascript(secret, host) if tier == WasmTier.name else _by_the_kernel(secret, host)),
    )


def _by_the_kernel(secret: str, host: int) -> tuple[EscapeAttempt, ...]:
    return (
        EscapeAttempt("leave its folder", "open('../../' + 'x', 'w')"),
        EscapeAttempt("list the folder above", "os.listdir('..')"),
        EscapeAttempt("make a link", f"os.symlink({secret!r}, 'link')"),
        EscapeAttempt("open a socket", "import socket; socket.socket()"),
        EscapeAttempt("fork", "os.fork() or os._exit(0)"),
        EscapeAttempt("replace itself", "os.execv('/bin/true', ['true'])"),
        EscapeAttempt("signal the host", f"os.kill({host}, 0)"),
        EscapeAttempt("take all memory", "bytearray(8 << 30)"),
    )


def _by_javascript(secret: str, host: int) -> tuple[EscapeAttempt, ...]:
    """Escape attempts through JavaScript: in WebAssembly, files, processes and signals are only emulated."""
    return (
        EscapeAttempt("read a file by JavaScript", f"import js; js.Deno.readTextFileSync({secret!r})"),
        EscapeAttempt("read a file by Node's library", f"import js; js.process.getBuiltinModule('node:fs').readFileSync({secret!r})"),
        EscapeAttempt("read its own scripts", f"import js; js.Deno.readTextFileSync({str(SCRIPTS / 'main.mjs')!r})"),
        EscapeAttempt("list the root folder", "import js; list(js.Deno.readDirSync('/'))"),
        EscapeAttempt("write a file by JavaScript", f"import js; js.Deno.writeTextFileSync({secret!r}, 'x')"),
        EscapeAttempt("delete a file by JavaScript", f"import js; js.Deno.removeSync({secret!r})"),
        EscapeAttempt("read the environment", "import js; js.Deno.env.toObject()"),
        EscapeAttempt("start a program by JavaScript", "import js; js.Deno.Command.new('/bin/true').outputSync()"),
        EscapeAttempt("signal the host", f"import js; js.Deno.kill({host}, 'SIGCONT')"),
        EscapeAttempt("load a library", "import js; js.Deno.dlopen('libc.so.6', js.Object.new())"),
        EscapeAttempt("fetch an address", _end_of("fetch('http://127.0.0.1:8000')")),
        EscapeAttempt("connect", _end_of("Deno.connect({port: 8000})")),
        EscapeAttempt("listen", "import js; js.eval('Deno.listen({port: 0})')"),
        EscapeAttempt("ask for a permission", _end_of("Deno.permissions.request({name: 'net'}).then(status => status.state)", "denied")),
        EscapeAttempt("take all memory", "bytearray(1 << 30)"),
    )


def _end_of(promise: str, refusal: str = "NotCapable") -> str:
    """Return a line that raises StopIteration if the promise resolves to `refusal`, or fails with an error of that name."""
    return ("import js; from pyodide.ffi import run_sync; "
            f"next(end for end in [run_sync(js.eval({promise!r} + '.catch(error => error.name)'))] if end != {refusal!r})")


def _escape(sandbox: Sandbox) -> str:
    """Return what a program could do although it must not, as the end of a sentence; empty if every attempt was refused."""
    with tempfile.TemporaryDirectory(prefix="mindcubes-probe-") as name:
        outside = Path(name)
        (outside / "secret").write_text("untouched", "utf-8")
        mode = (outside / "secret").stat().st_mode
        for attempt in attempts(outside, sandbox.tier):
            if sandbox.run(PROGRAM.format(attempt=attempt.code), timeout_s=2.0).stdout != "refused\n":
                return attempt.what
        is_same = (outside / "secret").read_text("utf-8") == "untouched" and (outside / "secret").stat().st_mode == mode
        if not is_same or os.listdir(outside) != ["secret"]:
            return "change the host's files"
    return _endless(sandbox)


def _endless(sandbox: Sandbox) -> str:
    if not any(_is_stopped_softly(sandbox) for _ in range(NUM_TRIES)):
        return "run forever, or lost its variables when it was stopped"
    killed = sandbox.run("sum(range(10 ** 13))", timeout_s=0.1)
    return "" if killed.killed and killed.seconds < MAX_STOP_S else "run forever in C"


def _is_stopped_softly(sandbox: Sandbox) -> bool:
    stopped = sandbox.run("kept = 1\nwhile True: pass", timeout_s=0.1)
    return not stopped.ok and stopped.seconds < MAX_STOP_S and not stopped.killed and sandbox.run("print(kept)").stdout == "1\n"


def report_on(tier: Tier) -> TierReport:
    """Open a session and try to escape from it."""
    limits, reason = Limits(), ""
    packages: tuple[str, ...] = ()
    try:
        packages = tier.packages
        with tier.open(limits) as sandbox:
            escape = _escape(sandbox)
        reason = f"a program could {escape}" if escape else ""
    except EngineError as error:
        reason = error.reason if isinstance(error, SandboxUnavailable) else str(error)
    except Exception:                       # a tier that cannot be probed is not used
        log.exception("the probe of %s broke", tier.name)
        reason = "its probe broke; the log says how"
    if reason:
        log.warning("sandbox %s is off: %s", tier.name, reason)
    return TierReport(tier.name, not reason, reason, limits, packages)


def report_of(tier: Tier) -> TierReport:
    """Return the result of the tier's probe; the first call in a process probes it."""
    with _probing:
        if tier.name not in _reports:
            _reports[tier.name] = report_on(tier)
        return _reports[tier.name]


def probe_sandboxes() -> tuple[TierReport, ...]:
    """Probe every tier, the best first. Takes some 3 s, once per process."""
    return tuple(report_of(tier) for tier in TIERS)


def forget(tier: str) -> None:
    """Probe the tier again at the next call, because something that its probe depends on has changed."""
    with _probing:
        _reports.pop(tier, None)
