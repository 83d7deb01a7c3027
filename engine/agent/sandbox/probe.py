"""Escape attempts, made for real against every tier before it is used. One that succeeds, or cannot be judged, turns the tier off.

Each attempt is a program of ours that prints `refused` when it was stopped; the host then looks for itself whether anything happened.
"""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...errors import EngineError, SandboxUnavailable
from .base import Limits, Sandbox, Tier, TierReport
from .jail import JailTier

log = logging.getLogger(__name__)
TIERS: tuple[Tier, ...] = (JailTier(),)     # the best first
# All that a guest finds in its environment; none of it is the host's.
VARIABLES = {"HOME", "TMPDIR", "LANG", "LC_CTYPE", "MPLCONFIGDIR", "MPLBACKEND",
             "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"}
FRAME = """
import os
try:
    {attempt}
except (OSError, MemoryError, ImportError, StopIteration):
    print("refused")
else:
    print("done")
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """`code` is one line; where it is refused it raises one of the errors of FRAME."""

    what: str
    code: str


def attempts(outside: Path) -> tuple[Attempt, ...]:
    """`outside` is a folder of the host with a file `secret` in it."""
    secret, host = str(outside / "secret"), os.getpid()
    return (
        Attempt("read /etc/passwd", "open('/etc/passwd').read()"),
        Attempt("read the application's files", f"open({__file__!r}).read()"),
        Attempt("list the application's folder", f"os.listdir({str(Path(__file__).parent)!r})"),
        Attempt("read a file of the host", f"open({secret!r}).read()"),
        Attempt("leave its folder", "open('../../' + 'x', 'w')"),
        Attempt("list the folder above", "os.listdir('..')"),
        Attempt("read the host's environment", f"open('/proc/{host}/environ').read()"),
        Attempt("read its own process folder", "open('/proc/self/environ').read()"),
        Attempt("find more than its own environment", f"next(iter(set(os.environ) - {VARIABLES}))"),
        Attempt("write outside", f"open({str(outside / 'new')!r}, 'w').write('x')"),
        Attempt("overwrite a file of the host", f"open({secret!r}, 'w')"),
        Attempt("delete a file of the host", f"os.remove({secret!r})"),
        Attempt("change a mode", f"os.chmod({secret!r}, 0o777)"),
        Attempt("make a link", f"os.symlink({secret!r}, 'link')"),
        Attempt("open a socket", "import socket; socket.socket()"),
        Attempt("fork", "os.fork() or os._exit(0)"),
        Attempt("start a program", "import subprocess; subprocess.run(['/bin/true'])"),
        Attempt("replace itself", "os.execv('/bin/true', ['true'])"),
        Attempt("signal the host", f"os.kill({host}, 0)"),
        Attempt("take all memory", "bytearray(8 << 30)"),
    )


def _escape(box: Sandbox) -> str:
    """What a program could do that it must not, as the end of a sentence; empty when every attempt was refused."""
    with tempfile.TemporaryDirectory(prefix="mindcubes-probe-") as name:
        outside = Path(name)
        (outside / "secret").write_text("untouched", "utf-8")
        mode = (outside / "secret").stat().st_mode
        for attempt in attempts(outside):
            if box.run(FRAME.format(attempt=attempt.code), timeout_s=2.0).stdout != "refused\n":
                return attempt.what
        is_same = (outside / "secret").read_text("utf-8") == "untouched" and (outside / "secret").stat().st_mode == mode
        if not is_same or os.listdir(outside) != ["secret"]:
            return "change the host's files"
    return _endless(box)


def _endless(box: Sandbox) -> str:
    stopped = box.run("kept = 1\nwhile True: pass", timeout_s=0.1)
    if stopped.ok or stopped.killed or box.run("print(kept)").stdout != "1\n":
        return "run for ever, or lost its variables when it was stopped"
    killed = box.run("sum(range(10 ** 13))", timeout_s=0.1)
    return "" if killed.killed and killed.seconds < 2.0 else "run for ever in C"


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


@cache
def probe_sandboxes() -> tuple[TierReport, ...]:
    """Every tier, the best first. Takes up to 2 s once per process, nothing after that."""
    return tuple(report_on(tier) for tier in TIERS)
