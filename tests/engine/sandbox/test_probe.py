"""Which tiers are available, and that a tier which leaks is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from engine import RunResult, open_sandbox
from engine.errors import SandboxUnavailable
from engine.sandbox import probe_sandboxes
from engine.sandbox.base import Limits, Sandbox, SandboxEvent, Tier
from engine.sandbox.probe import TIERS, forget, report_of, report_on
from engine.sandbox.runtime import Runtime

ROOT = Path(__file__).parents[3]


class UnconfinedSession:
    """A session without any confinement: a tier whose restrictions were not applied."""

    tier = "open"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, code: str, timeout_s: float = 5.0) -> RunResult:
        done = subprocess.run([sys.executable, "-I", "-c", code], cwd=self.folder, capture_output=True, text=True)
        return RunResult(not done.returncode, done.stdout, done.stderr, (), 0.0, False)

    def stream(self, code: str, timeout_s: float = 5.0) -> Iterator[SandboxEvent]:
        yield self.run(code, timeout_s)

    def interrupt(self) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class OpenTier:
    name = "open"
    packages = ("numpy 1",)

    def __init__(self, folder: Path, trouble: Exception | None = None) -> None:
        self.folder, self.trouble = folder, trouble

    def open(self, limits: Limits) -> Sandbox:
        if self.trouble:
            raise self.trouble
        return UnconfinedSession(self.folder)


def test_the_jail_passes_every_attempt_here() -> None:
    report = probe_sandboxes()[0]
    assert (report.tier, report.is_available, report.reason, report.limits) == ("jail", True, "", Limits())


def test_the_wasm_tier_passes_every_attempt_if_it_was_fetched(runtime: Runtime) -> None:
    report = probe_sandboxes()[1]
    assert (report.tier, report.is_available, report.reason, report.packages) == ("wasm", True, "", ())


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_a_tier_is_probed_only_once(runtime: Runtime, tier: Tier) -> None:
    forget(tier.name)
    assert report_of(tier) is report_of(tier)


def test_importing_the_engine_probes_and_fetches_nothing() -> None:
    code = "import sys, engine\nfrom engine.sandbox import probe\nprint(probe._reports, 'deno' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "{} False\n"


def test_public_pages_get_the_tier_that_shares_less_of_the_machine(runtime: Runtime) -> None:
    with open_sandbox(is_public=True) as sandbox:
        assert sandbox.tier == "wasm"
        assert sandbox.run("print(6 * 7)").stdout == "42\n"


def test_without_the_files_of_wasm_a_public_page_runs_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDCUBES_DATA_DIR", str(tmp_path))
    forget("wasm")
    try:
        with pytest.raises(SandboxUnavailable, match="wasm: "):
            open_sandbox(is_public=True)
        with pytest.raises(SandboxUnavailable, match=r"wasm: .*not (fetched|installed)"):
            open_sandbox("wasm")
    finally:
        forget("wasm")


def test_a_tier_that_is_off_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sandbox.TIERS", (OpenTier(tmp_path), *TIERS))
    try:
        with open_sandbox() as sandbox:
            assert sandbox.tier == "jail"
    finally:
        forget(OpenTier.name)


def test_the_best_tier_is_opened_when_none_is_named() -> None:
    with open_sandbox() as sandbox:
        assert sandbox.tier == "jail"
        assert sandbox.run("print(6 * 7)").stdout == "42\n"


def test_limits_of_the_caller_hold() -> None:
    with open_sandbox("jail", replace(Limits(), num_files=3)) as sandbox:
        result = sandbox.run("for n in range(9): open(f'{n}', 'w').close()")
        assert result.error.startswith("It made more than 3 files. Variables are kept, its files were deleted.")
        assert list(sandbox.folder.iterdir()) == []


def test_a_tier_that_does_not_exist_is_named_in_the_refusal() -> None:
    with pytest.raises(SandboxUnavailable, match="no tier 'cloud', only jail, wasm"):
        open_sandbox("cloud")


def test_a_tier_that_leaks_is_off_and_reports_how(tmp_path: Path) -> None:
    report = report_on(OpenTier(tmp_path))
    assert (report.is_available, report.reason) == (False, "a program could read /etc/passwd")


@pytest.mark.parametrize(("trouble", "reason"), [(SandboxUnavailable("no walls"), "no walls"), (RuntimeError("bug"), "its probe broke")])
def test_a_tier_whose_probe_fails_is_off(tmp_path: Path, trouble: Exception, reason: str) -> None:
    report = report_on(OpenTier(tmp_path, trouble))
    assert not report.is_available
    assert report.reason.startswith(reason)


@pytest.mark.parametrize(("call", "lock"), [("CREATE_RULESET", "no Landlock"), ("ADD_RULE", "Landlock"), ("RESTRICT_SELF", "Landlock")])
def test_the_jail_is_off_if_the_kernel_or_a_container_hides_landlock(call: str, lock: str) -> None:
    code = ("import errno\nfrom engine.sandbox.guest import kernel, landlock, seccomp\n"
            "from engine import open_sandbox\nfrom engine.errors import SandboxUnavailable\n"
            f"hidden = seccomp._when(landlock.{call}, [seccomp._end(seccomp.ERRNO | errno.EPERM)])\n"
            "kernel.prctl('', 38, 1)\nseccomp.install_program([seccomp._load(seccomp.CALL), *hidden, seccomp._end(seccomp.ALLOW)])\n"
            "try: open_sandbox('jail')\nexcept SandboxUnavailable as refusal: print(refusal)\nelse: print('OPEN')")
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout
    assert printed.startswith("Programs cannot be run safely on this machine: jail: ")
    assert lock in printed
