"""Frames to and from one process, on two threads: also works on platforms where one cannot wait for several pipes at once.

A frame is one byte for its kind, four bytes for its length (little-endian), and the payload. The guest's side: pyodide/frames.mjs.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
from collections.abc import Iterable
from typing import NamedTuple

PIECE_BYTES = 64 << 10
MAX_FRAME_BYTES = 64 << 10
MAX_WAITING = 8                 # pieces: a guest that prints faster than we read is blocked
HEAD_BYTES = 5


class PipeFrame(NamedTuple):
    kind: bytes
    payload: bytes = b""


class InvalidFrame(Exception):
    """A frame that an unmodified guest never sends."""


class Pipes:
    """One thread at a time may use it; `close` when the process has ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._outgoing: queue.SimpleQueue[Iterable[PipeFrame] | None] = queue.SimpleQueue()
        self._incoming: queue.Queue[bytes] = queue.Queue(MAX_WAITING)
        self._unread = b""
        self.is_open = True         # until the process has closed its end and everything before that was received
        # They refer to the pipes only, so that an unreferenced session can be garbage-collected.
        self._writer = threading.Thread(target=_write, args=(process.stdin.fileno(), self._outgoing), name="sandbox-write", daemon=True)
        self._reader = threading.Thread(target=_read, args=(process.stdout.fileno(), self._incoming), name="sandbox-read", daemon=True)
        self._writer.start()
        self._reader.start()

    def send(self, frames: Iterable[PipeFrame]) -> None:
        """Send frames. Returns at once; the frames are created while they are written."""
        self._outgoing.put(frames)

    def receive(self, timeout_s: float) -> list[PipeFrame]:
        """Return complete frames, as soon as something arrives. Raises InvalidFrame."""
        frames: list[PipeFrame] = []
        for piece in self._pieces(timeout_s):
            self.is_open = self.is_open and bool(piece)
            self._unread += piece
            frames += self._whole_frames()
        return frames

    def close(self) -> None:
        self._outgoing.put(None)
        while self._reader.is_alive():      # it may be waiting for room in the queue
            self._pieces(0.01)
        self._writer.join()

    def _pieces(self, timeout_s: float) -> list[bytes]:
        pieces: list[bytes] = []
        with contextlib.suppress(queue.Empty):
            pieces.append(self._incoming.get(timeout=timeout_s) if timeout_s > 0 else self._incoming.get_nowait())
            while len(pieces) < MAX_WAITING:
                pieces.append(self._incoming.get_nowait())
        return pieces

    def _whole_frames(self) -> list[PipeFrame]:
        frames, at = list[PipeFrame](), 0
        while len(self._unread) - at >= HEAD_BYTES:
            num_bytes = int.from_bytes(self._unread[at + 1:at + HEAD_BYTES], "little")
            if num_bytes > MAX_FRAME_BYTES:
                raise InvalidFrame
            end = at + HEAD_BYTES + num_bytes
            if end > len(self._unread):
                break
            frames.append(PipeFrame(self._unread[at:at + 1], self._unread[at + HEAD_BYTES:end]))
            at = end
        self._unread = self._unread[at:]
        return frames


def _read(pipe: int, incoming: queue.Queue[bytes]) -> None:
    piece = b"-"
    while piece:
        try:
            piece = os.read(pipe, PIECE_BYTES)
        except OSError:
            piece = b""
        incoming.put(piece)


def _write(pipe: int, outgoing: queue.SimpleQueue[Iterable[PipeFrame] | None]) -> None:
    while (frames := outgoing.get()) is not None:
        try:
            for kind, payload in frames:
                data = kind + len(payload).to_bytes(4, "little") + payload
                while data:
                    data = data[os.write(pipe, data):]
        except OSError:
            pass        # the process has ended; the other pipe reports that
