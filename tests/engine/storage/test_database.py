import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Settings
from engine.errors import StorageError
from engine.storage.database import MIGRATIONS, Database
from engine.storage.loads import LoadHistory
from tests.conftest import ask, exhaust


def test_the_latest_load_of_a_model_is_remembered(tmp_path: Path) -> None:
    history = LoadHistory(Database(tmp_path))
    history.add("a", "none", "cpu", 3.0, 10)
    history.add("a", "none", "cpu", 5.0, 10)
    assert LoadHistory(Database(tmp_path)).last_seconds("a", "none", "cpu") == 5.0
    assert history.last_seconds("a", "nf4", "cpu") is None


def test_an_exception_rolls_back(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute("INSERT INTO loads VALUES ('a', 'none', 'cpu', 1, 1, 1)")
        raise ZeroDivisionError
    assert LoadHistory(database).last_seconds("a", "none", "cpu") is None


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mindcubes.db") as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StorageError, match="newer version"), Database(tmp_path).transaction():
        pass


def test_a_damaged_database_does_not_prevent_loading_a_model(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "mindcubes.db").write_bytes(b"not a database" * 100)
    engine = Engine(replace(settings, data_dir=tmp_path))
    exhaust(engine.load("builtin"))
    assert ask(engine, "hello")[0]
    assert any("damaged" in note for note in engine.status().notes)
    engine.close()
