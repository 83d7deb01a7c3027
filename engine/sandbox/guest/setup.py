"""The first message from the host to a guest. Imported on both sides."""

from __future__ import annotations

from dataclasses import dataclass

NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class JailSetup:
    """Settings of a guest in the jail."""

    parent: int                     # process id of the host
    work: str                       # the only writable folders: the programs' own,
    home: str                       # and one for caches and temporary files
    libraries: str                  # packages that may be imported, as links
    readable: tuple[str, ...]
    memory_bytes: int               # address space beyond what the interpreter uses
    file_bytes: int
    num_open_files: int
    num_threads: int


@dataclass(frozen=True, slots=True)
class ExecSetup:
    """The program to execute, and what it may use."""

    parent: int                     # process id of the host
    readable: tuple[str, ...]
    runnable: tuple[str, ...]
    data_bytes: int                 # of writable memory
    num_open_files: int
    num_threads: int
    command: tuple[str, ...]
    environment: dict[str, str]
