"""Runs pip install and shows its progress: package, size, elapsed time. The arguments are those of pip install.

In a terminal a single line is updated; elsewhere only packages of LARGE_MB or more get a line. If pip fails, its output is shown.
Uses the standard library only, since it runs before anything is installed.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
from typing import IO

LARGE_MB = 20
# "  Downloading torch-2.13.0-cp311-cp311-linux_x86_64.whl (196.3 MB)", and the same for a cached file
FILE = re.compile(r"(?:Downloading|Using cached) (?:\S*/)?([^\s/]+?)-(\d[^-\s]*)\S* \(([\d.]+) (kB|MB|GB)\)")
MEGABYTES = {"kB": 1e-3, "MB": 1.0, "GB": 1e3}


def main(arguments: list[str]) -> int:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    output = _show(lines, time.monotonic(), is_terminal=sys.stdout.isatty())
    if code := process.wait():
        print("".join(output), file=sys.stderr)
    return code


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _show(lines: queue.SimpleQueue[str | None], started: float, *, is_terminal: bool) -> list[str]:
    """Show progress until pip's last line, and return all lines."""
    output: list[str] = []
    num_packages, megabytes, step = 0, 0.0, "looking for packages"
    while True:
        try:
            line = lines.get(timeout=1.0)
        except queue.Empty:
            line = ""
        if line is None:
            break
        output.append(line)
        if found := FILE.search(line):
            num_packages, size = num_packages + 1, float(found[3]) * MEGABYTES[found[4]]
            megabytes += size
            step = f"{found[1]} {found[2]} ({found[3]} {found[4]})"
            if size >= LARGE_MB and not is_terminal:
                print(f"  {step}", flush=True)
        elif line.startswith("Installing collected packages"):
            step = f"unpacking {line.count(',') + 1} packages"
        if is_terminal:
            text = f"  {num_packages} packages, {megabytes:,.0f} MB, {time.monotonic() - started:.0f} s: {step}"
            print(f"\r{text[:110]:<110}", end="", flush=True)
    seconds = time.monotonic() - started
    end = f"  {num_packages} packages, {megabytes:,.0f} MB, in {seconds:.0f} s"
    print(f"\r{end:<110}" if is_terminal else end, flush=True)
    return output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
