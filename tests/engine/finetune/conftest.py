from __future__ import annotations

import pytest

from engine.finetune import Tables
from engine.settings import Settings


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return Tables(Settings(data_dir=tmp_path_factory.mktemp("tables")))
