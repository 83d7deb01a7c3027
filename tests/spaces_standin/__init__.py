from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def installed() -> Iterator[ModuleType]:
    """Let `import spaces` find the stand-in."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    try:
        import spaces
        yield spaces
    finally:
        sys.path.remove(folder)
        sys.modules.pop("spaces", None)
