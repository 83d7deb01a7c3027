"""What the host tells a guest before anything else; imported on both sides."""

from __future__ import annotations

from dataclasses import dataclass

NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Setup:
    """Bytes unless the name says otherwise."""

    parent: int                     # process id of the host
    work: str                       # the only folders that may be written: the programs' own,
    home: str                       # and one for caches and temporary files
    libraries: str                  # packages that may be imported, as links
    readable: tuple[str, ...]
    memory_bytes: int               # address space beyond what the interpreter has taken
    file_bytes: int
    num_open_files: int
    num_threads: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What to become, and what it may touch then."""

    parent: int                     # process id of the host
    readable: tuple[str, ...]
    runnable: tuple[str, ...]
    data_bytes: int                 # of memory that is written to
    num_open_files: int
    num_threads: int
    command: tuple[str, ...]
    environment: dict[str, str]
