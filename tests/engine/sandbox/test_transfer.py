"""Files as frames: those of a guest arrive, and forged ones never leave the session's own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.sandbox.base import Limits
from engine.sandbox.folder import SessionFolder
from engine.sandbox.guest_protocol import ProtocolViolation, parse_message
from engine.sandbox.pipes import InvalidFrame, PipeFrame, Pipes
from engine.sandbox.transfer import PIECE_BYTES, FileReceiver, changes

SMALL = replace(Limits(), num_files=3, file_bytes=100 << 10, folder_bytes=150 << 10)
PIECE = bytes(PIECE_BYTES)


@pytest.fixture
def folder() -> Iterator[SessionFolder]:
    sandbox = SessionFolder({})
    yield sandbox
    sandbox.remove()


def take(folder: SessionFolder, *frames: tuple[bytes, bytes]) -> None:
    receiver = FileReceiver(folder, SMALL)
    try:
        for frame in frames:
            receiver.take(PipeFrame(*frame))
    finally:
        receiver.close()


def everything_in(folder: SessionFolder) -> list[str]:
    return sorted(os.path.relpath(path, folder.work) for path in folder.root.rglob("*") if path.is_file() and path.name != "coming")


def test_a_file_arrives_complete_and_is_removed_with_its_empty_folders(folder: SessionFolder) -> None:
    take(folder, (b"n", b"a/b/c.txt"), (b"d", PIECE), (b"d", b"end"), (b"e", b""))
    assert (folder.work / "a/b/c.txt").read_bytes() == PIECE + b"end"
    take(folder, (b"x", b"a/b/c.txt"))
    assert list(folder.work.iterdir()) == []


def test_a_file_that_is_sent_comes_back_unchanged(folder: SessionFolder) -> None:
    (folder.work / "in").mkdir()
    (folder.work / "in" / "ğ.bin").write_bytes(PIECE + b"x")
    frames = list(changes(folder, {}, folder.stamps()))
    (folder.work / "in" / "ğ.bin").unlink()
    take(folder, *frames)
    assert (folder.work / "in" / "ğ.bin").read_bytes() == PIECE + b"x"


def test_only_new_changed_and_deleted_files_are_sent(folder: SessionFolder) -> None:
    for name in ("same", "changed", "gone"):
        (folder.work / name).write_text(name, "utf-8")
    before = folder.stamps()
    (folder.work / "changed").write_text("to this", "utf-8")
    (folder.work / "gone").unlink()
    assert [(frame.kind, frame.payload) for frame in changes(folder, before, folder.stamps())] == \
        [(b"x", b"gone"), (b"n", b"changed"), (b"d", b"to this"), (b"e", b"")]


@pytest.mark.parametrize("name", [b"../new", b"/tmp/new", b"", b".", b"..", b"a/../../new", b"a//b", b"a\x00b", b"a/.", b"./a"])
@pytest.mark.parametrize("kind", [b"n", b"x"])
def test_a_name_that_is_not_below_the_folder_is_refused(folder: SessionFolder, kind: bytes, name: bytes) -> None:
    beside = folder.root.parent / "new"
    with pytest.raises(InvalidFrame):
        take(folder, (kind, name), (b"e", b""))
    assert everything_in(folder) == []
    assert not beside.exists()


@pytest.mark.parametrize("name", [b"a\nb", "\u202eexe.txt".encode(), b"x" * 256, b"x/" * 40 + b"x", b"x" * 2000, b"\x1b[31m"])
def test_a_name_that_cannot_be_shown_or_kept_is_left_out(folder: SessionFolder, name: bytes) -> None:
    take(folder, (b"n", name), (b"d", b"x"), (b"e", b""), (b"x", name))
    assert everything_in(folder) == []


@pytest.mark.parametrize("frames", [
    pytest.param([(b"d", b"x")], id="data of no file"),
    pytest.param([(b"e", b"")], id="the end of no file"),
    pytest.param([(b"?", b"")], id="an unknown kind"),
    pytest.param([(b"n", b"a"), (b"n", b"b")], id="a file in a file"),
    pytest.param([(b"n", b"a"), (b"x", b"a")], id="deleting while writing"),
    pytest.param([(b"n", b"a"), (b"d", b"x"), (b"d", b"x")], id="crumbs"),
    pytest.param([(b"n", b"a"), (b"d", PIECE), (b"d", PIECE), (b"d", PIECE)], id="too large a file"),
    pytest.param([(b"n", b"a"), (b"d", PIECE), (b"d", PIECE), (b"e", b"")] * 2, id="too much in all"),
    pytest.param([(b"n", b"a"), (b"e", b"")] * 4, id="too many files"),
    pytest.param([(b"x", b"a")] * 4, id="too many deletions"),
    pytest.param([(b"n", b"a"), (b"e", b""), (b"n", b"a/b"), (b"e", b"")], id="a file below a file"),
    pytest.param([(b"n", b"a/b"), (b"e", b""), (b"n", b"a"), (b"e", b"")], id="a file for a folder"),
    pytest.param([(b"n", b"a/b"), (b"e", b""), (b"x", b"a")], id="deleting a folder as a file"),
    pytest.param([(b"n", b"a"), (b"e", b""), (b"x", b"a/b")], id="deleting below a file"),
])
def test_invalid_frames_are_refused(folder: SessionFolder, frames: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidFrame):
        take(folder, *frames)


def received(data: bytes) -> list[PipeFrame]:
    """The frames that Pipes reads from a process that prints this."""
    code = f"import sys; sys.stdout.buffer.write({data!r})"
    with subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        pipes, frames = Pipes(process), list[PipeFrame]()
        try:
            while pipes.is_open:
                frames += pipes.receive(5.0)
        finally:
            process.kill()
            pipes.close()
    return frames


def test_frames_are_complete_however_they_arrive() -> None:
    assert received(b"o\x02\0\0\0hia\0\0\0\0o\x09\0\0\0cut") == [(b"o", b"hi"), (b"a", b"")]


@pytest.mark.parametrize("data", [b"o\xff\xff\xff\xff", b"a\x01\x00\x01\x00" + bytes(9)])
def test_a_frame_that_is_too_long_is_refused_before_it_has_arrived(data: bytes) -> None:
    with pytest.raises(InvalidFrame):
        received(data)


@pytest.mark.parametrize("line", [b"[" * 50_000, b"{}", b"\xff\x00", b'{"error": 1, "nonce": "0"}', b'{"error": ""}', b"null", b""])
def test_a_message_of_another_form_is_a_protocol_violation(line: bytes) -> None:
    assert parse_message(line) == ProtocolViolation()


def test_a_file_is_written_outside_the_folder_of_programs_until_it_is_complete(folder: SessionFolder) -> None:
    receiver = FileReceiver(folder, SMALL)
    receiver.take(PipeFrame(b"n", b"a"))
    receiver.take(PipeFrame(b"d", PIECE))
    assert list(folder.work.iterdir()) == []
    receiver.close()
    assert Path(folder.home, "coming").exists()
