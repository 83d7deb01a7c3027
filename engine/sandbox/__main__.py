"""Downloads Pyodide for the wasm sandbox, once: python -m engine.sandbox"""

from __future__ import annotations

import sys

from ..errors import SandboxUnavailable
from ..settings import Settings
from .fetch import fetch_pyodide
from .runtime import find_runtime


def main() -> int:
    try:
        data_dir = Settings.from_env().data_dir
        fetch_pyodide(data_dir)
        runtime = find_runtime(data_dir)
    except SandboxUnavailable as error:
        print(f"The wasm sandbox is off: {error.reason}", file=sys.stderr)
        return 1
    print(f"The wasm sandbox is ready: {runtime.pyodide}{'' if runtime.snapshot else ', without a snapshot of its memory'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
