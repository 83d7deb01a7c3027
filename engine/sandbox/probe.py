"""Escape attempts, made for real against every tier before it is used. One that succeeds, or cannot be judged, turns the tier off.

Each attempt is a program of ours that prints `refused` when it was stopped; the host then looks for itself whether anything happened.
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
# All that a guest finds in its environment; none of it is the host's.
VARIABLES = {"HOME", "TMPDIR", "LANG", "LC_CTYPE", "MPLCONFIGDIR", "MPLBACKEND",
             "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"}
NUM_TRIES, PATIENCE_S = 3, 3.0      # a machine under load is late, which is no escape
FRAME = """
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
class Attempt:
    """`code` is one line; where it is refused it raises one of the errors of FRAME."""

    what: str
    code: str


def attempts(outside: Path, tier: str) -> tuple[Attempt, ...]:
    """`outside` is a folder of the host with a file `secret` in it."""
    secret, host = str(outside / "secret"), os.getpid()
    return (
        Attempt("read /etc/passwd", "open('/etc/passwd').read()"),
        Attempt("read the application's files", f"open({__file__!r}).read()"),
        Attempt("list the application's folder", f"os.listdir({str(Path(__file__).parent)!r})"),
        Attempt("read a file of the host", f"open({secret!r}).read()"),
        Attempt("read the host's environment", f"open('/proc/{host}/environ').read()"),
        Attempt("read its own process folder", "open('/proc/self/environ').read()"),
        Attempt("find more than its own environment", f"next(iter(set(os.environ) - {VARIABLES}))"),
        Attempt("write outside", f"open({str(outside / 'new')!r}, 'w').write('x')"),
        Attempt("overwrite a file of the host", f"open({secret!r}, 'w')"),
        Attempt("delete a file of the host", f"os.remove({secret!r})"),
        Attempt("change a mode", f"os.chmod({secret!r}, 0o777)"),
        Attempt("start a program", "import subprocess; subprocess.run(['/bin/true'])"),
        *(_by_javascript(secret, host) if tier == WasmTier.name else _by_the_kernel(secret, host)),
    )


def _by_the_kernel(secret: str, host: int) -> tuple[Attempt, ...]:
    return (
        Attempt("leave its folder", "open('../../' + 'x', 'w')"),
        Attempt("list the folder above", "os.listdir('..')"),
        Attempt("make a link", f"os.symlink({secret!r}, 'link')"),
        Attempt("open a socket", "import socket; socket.socket()"),
        Attempt("fork", "os.fork() or os._exit(0)"),
        Attempt("replace itself", "os.execv('/bin/true', ['true'])"),
        Attempt("signal the host", f"os.kill({host}, 0)"),
        Attempt("take all memory", "bytearray(8 << 30)"),
    )


def _by_javascript(secret: str, host: int) -> tuple[Attempt, ...]:
    """In WebAssembly files, processes and signals are pretended: the way out is the JavaScript around it."""
    return (
        Attempt("read a file by JavaScript", f"import js; js.Deno.readTextFileSync({secret!r})"),
        Attempt("read a file by Node's library", f"import js; js.process.getBuiltinModule('node:fs').readFileSync({secret!r})"),
        Attempt("read its own scripts", f"import js; js.Deno.readTextFileSync({str(SCRIPTS / 'main.mjs')!r})"),
        Attempt("list the root folder", "import js; list(js.Deno.readDirSync('/'))"),
        Attempt("write a file by JavaScript", f"import js; js.Deno.writeTextFileSync({secret!r}, 'x')"),
        Attempt("delete a file by JavaScript", f"import js; js.Deno.removeSync({secret!r})"),
        Attempt("read the environment", "import js; js.Deno.env.toObject()"),
        Attempt("start a program by JavaScript", "import js; js.Deno.Command.new('/bin/true').outputSync()"),
        Attempt("signal the host", f"import js; js.Deno.kill({host}, 'SIGCONT')"),
        Attempt("load a library", "import js; js.Deno.dlopen('libc.so.6', js.Object.new())"),
        Attempt("fetch an address", _end_of("fetch('http://127.0.0.1:8000')")),
        Attempt("connect", _end_of("Deno.connect({port: 8000})")),
        Attempt("listen", "import js; js.eval('Deno.listen({port: 0})')"),
        Attempt("ask for a permission", _end_of("Deno.permissions.request({name: 'net'}).then(status => status.state)", "denied")),
        Attempt("take all memory", "bytearray(1 << 30)"),
    )


def _end_of(promise: str, refusal: str = "NotCapable") -> str:
    """A line that raises StopIteration when the promise ends with this word, or fails with an error of this name."""
    return ("import js; from pyodide.ffi import run_sync; "
            f"next(end for end in [run_sync(js.eval({promise!r} + '.catch(error => error.name)'))] if end != {refusal!r})")


def _escape(box: Sandbox) -> str:
    """What a program could do that it must not, as the end of a sentence; empty when every attempt was refused."""
    with tempfile.TemporaryDirectory(prefix="mindcubes-probe-") as name:
        outside = Path(name)
        (outside / "secret").write_text("untouched", "utf-8")
        mode = (outside / "secret").stat().st_mode
        for attempt in attempts(outside, box.tier):
            if box.run(FRAME.format(attempt=attempt.code), timeout_s=2.0).stdout != "refused\n":
                return attempt.what
        is_same = (outside / "secret").read_text("utf-8") == "untouched" and (outside / "secret").stat().st_mode == mode
        if not is_same or os.listdir(outside) != ["secret"]:
            return "change the host's files"
    return _endless(box)


def _endless(box: Sandbox) -> str:
    if not any(_is_stopped_softly(box) for _ in range(NUM_TRIES)):
        return "run for ever, or lost its variables when it was stopped"
    killed = box.run("sum(range(10 ** 13))", timeout_s=0.1)
    return "" if killed.killed and killed.seconds < PATIENCE_S else "run for ever in C"


def _is_stopped_softly(box: Sandbox) -> bool:
    stopped = box.run("kept = 1\nwhile True: pass", timeout_s=0.1)
    return not stopped.ok and stopped.seconds < PATIENCE_S and not stopped.killed and box.run("print(kept)").stdout == "1\n"


def report_on(tier: Tier) -> TierReport:
    """Open a box of it and try to break out."""
    limits, reason = Limits(), ""
    packages: tuple[str, ...] = ()
    try:
        packages = tier.packages
        with tier.open(limits) as box:
            escape = _escape(box)
        reason = f"a program could {escape}" if escape else ""
    except EngineError as error:
        reason = error.reason if isinstance(error, SandboxUnavailable) else str(error)
    except Exception:                       # a tier that cannot be judged is not used
        log.exception("the probe of %s broke", tier.name)
        reason = "its probe broke; the log says how"
    if reason:
        log.warning("sandbox %s is off: %s", tier.name, reason)
    return TierReport(tier.name, not reason, reason, limits, packages)


def report_of(tier: Tier) -> TierReport:
    """What its probe said; the first call of a process probes."""
    with _probing:
        if tier.name not in _reports:
            _reports[tier.name] = report_on(tier)
        return _reports[tier.name]


def probe_sandboxes() -> tuple[TierReport, ...]:
    """Every tier, the best first. Takes some 3 s once per process, nothing after that."""
    return tuple(report_of(tier) for tier in TIERS)


def forget(tier: str) -> None:
    """Something has changed that its probe depends on: the next question probes it again."""
    with _probing:
        _reports.pop(tier, None)
