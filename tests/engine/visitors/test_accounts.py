"""Accounts: made by a command, never stored as passwords."""

import io
from pathlib import Path

import pytest

from engine import users
from engine.errors import InvalidRequest
from engine.storage.database import Database
from engine.visitors import Accounts

GOOD = "correct horse battery"


def test_only_the_right_password_of_a_known_name_signs_in(tmp_path: Path) -> None:
    accounts = Accounts(Database(tmp_path))
    accounts.save("ann", GOOD)
    assert accounts.may_sign_in("ann", GOOD)
    assert not accounts.may_sign_in("ann", GOOD + "!")
    assert not accounts.may_sign_in("ben", GOOD)
    assert not accounts.may_sign_in("", "")
    assert GOOD.encode() not in Database(tmp_path).path.read_bytes()


def test_equal_passwords_have_different_hashes(tmp_path: Path) -> None:
    accounts = Accounts(Database(tmp_path))
    accounts.save("ann", GOOD)
    accounts.save("ben", GOOD)
    assert len(set(accounts._store.all().values())) == 2


@pytest.mark.parametrize(("name", "password"), [("", GOOD), ("a b", GOOD), ("x" * 41, GOOD), ("ann", "short"), ("ann", "x" * 201)])
def test_bad_names_and_passwords_are_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(InvalidRequest, match=r"the (name|password)") as failure:
        Accounts(Database(tmp_path)).save(name, password)
    assert password not in str(failure.value)


def test_the_command_adds_lists_and_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MINDCUBES_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(GOOD + "\n"))
    assert users.main(["add", "ann"]) == 0
    assert Accounts(Database(tmp_path)).may_sign_in("ann", GOOD)
    assert users.main(["list"]) == 0
    assert users.main(["delete", "ann"]) == 0
    assert users.main(["delete", "ann"]) == 2
    shown = capsys.readouterr()
    assert "ann" in shown.out
    assert GOOD not in shown.out + shown.err
