"""A workshop over a scripted engine and a real sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine import Workshop, probe_sandboxes
from tests.ui.scripted_engine import ScriptedEngine


@pytest.fixture
def open_workshop() -> Iterator[Callable[[ScriptedEngine], Workshop]]:
    if not any(report.is_available for report in probe_sandboxes()):
        pytest.skip("no sandbox works on this machine")
    workshops: list[Workshop] = []

    def start(engine: ScriptedEngine) -> Workshop:
        workshops.append(Workshop(engine))  # type: ignore[arg-type]
        return workshops[-1]

    yield start
    for workshop in workshops:
        workshop.close()
