"""The SQLite file in the data folder; its schema is migrated when it is first opened."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import StorageError
from ..plain_text import valid_text

log = logging.getLogger(__name__)
LOCK_WAIT_S = 5.0
DAMAGES = ("not a database", "malformed", "unsupported file format")

# Never change a released entry: append a new one.
MIGRATIONS = (
    """CREATE TABLE loads (
        model TEXT NOT NULL, quantization TEXT NOT NULL, device TEXT NOT NULL,
        seconds REAL NOT NULL, weight_bytes INTEGER NOT NULL, at REAL NOT NULL
    )""",
    """CREATE TABLE chats (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, title_words TEXT NOT NULL,
        created REAL NOT NULL, updated REAL NOT NULL, is_pinned INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 0,
        head INTEGER, system_prompt TEXT NOT NULL DEFAULT '', options TEXT NOT NULL DEFAULT '', queued TEXT NOT NULL DEFAULT '',
        deleted REAL
    )""",
    "CREATE INDEX chats_of_owner ON chats (owner, deleted, is_pinned DESC, updated DESC)",
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, chat TEXT NOT NULL, parent INTEGER, role TEXT NOT NULL, text TEXT NOT NULL,
        state TEXT NOT NULL, writer TEXT, created REAL NOT NULL, details TEXT NOT NULL, deleted REAL
    )""",
    "CREATE INDEX messages_of_chat ON messages (chat)",
    "CREATE INDEX messages_being_written ON messages (state) WHERE state = 'writing'",
    "CREATE VIRTUAL TABLE chat_words USING fts5 (owner, text, tokenize = 'unicode61')",
    """CREATE TABLE shares (
        token TEXT PRIMARY KEY, chat TEXT NOT NULL, owner TEXT NOT NULL, title TEXT NOT NULL, created REAL NOT NULL,
        content TEXT NOT NULL
    )""",
    "CREATE TABLE presets (owner TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (owner, name))",
    """CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, title TEXT NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL,
        facts TEXT NOT NULL, process TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
        unit TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '', log TEXT NOT NULL DEFAULT '', result TEXT NOT NULL DEFAULT '',
        error TEXT NOT NULL DEFAULT '', error_kind TEXT NOT NULL DEFAULT '', created REAL NOT NULL, updated REAL NOT NULL
    )""",
    """CREATE TABLE load_peaks (
        model TEXT NOT NULL, quantization TEXT NOT NULL, device TEXT NOT NULL, peak_bytes INTEGER NOT NULL,
        context_tokens INTEGER NOT NULL, visitors INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (model, quantization, device)
    )""",
    """CREATE TABLE benchmarks (
        uid TEXT PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, quantization TEXT NOT NULL,
        machine TEXT NOT NULL, origin TEXT NOT NULL, sweep TEXT NOT NULL, cell TEXT NOT NULL, content TEXT NOT NULL
    )""",
    "CREATE INDEX benchmarks_of_sweep ON benchmarks (sweep, cell)",
    """CREATE TABLE votes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL, score REAL NOT NULL
    )""",
    """CREATE TABLE agent_runs (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
        process TEXT NOT NULL DEFAULT '', content TEXT NOT NULL
    )""",
    "CREATE INDEX agent_runs_of_owner ON agent_runs (owner, updated DESC)",
    "CREATE TABLE connections (name TEXT PRIMARY KEY, address TEXT NOT NULL, model TEXT NOT NULL, key TEXT NOT NULL)",
    """CREATE TABLE visitor_use (
        visitor TEXT NOT NULL, day TEXT NOT NULL, name TEXT NOT NULL, messages INTEGER NOT NULL, tokens INTEGER NOT NULL,
        PRIMARY KEY (visitor, day)
    )""",
    "CREATE TABLE visitor_limits (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE accounts (name TEXT PRIMARY KEY, hash TEXT NOT NULL)",
    "CREATE TABLE api_keys (name TEXT PRIMARY KEY, hash TEXT NOT NULL)",
    """CREATE TABLE finetune_runs (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, created REAL NOT NULL, watcher TEXT NOT NULL DEFAULT '', trainer TEXT NOT NULL DEFAULT '',
        plan TEXT NOT NULL, estimate TEXT NOT NULL, chat_model TEXT NOT NULL DEFAULT ''
    )""",
    "CREATE INDEX finetune_runs_of_owner ON finetune_runs (owner, created DESC)",
    """CREATE TABLE knowledge_collections (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, embedder TEXT NOT NULL DEFAULT '', chat TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL, updated REAL NOT NULL, version INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX knowledge_collections_of_owner ON knowledge_collections (owner, chat)",
    """CREATE TABLE knowledge_documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, problem TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT '',
        UNIQUE (collection, name)
    )""",
    """CREATE TABLE knowledge_pieces (
        id INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, document INTEGER NOT NULL, number INTEGER NOT NULL,
        begin INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER NOT NULL, heading TEXT NOT NULL, row INTEGER NOT NULL
    )""",
    "CREATE INDEX knowledge_pieces_of_document ON knowledge_pieces (document, number)",
    "CREATE INDEX knowledge_pieces_of_collection ON knowledge_pieces (collection)",
    """CREATE TABLE knowledge_vectors (
        id INTEGER PRIMARY KEY AUTOINCREMENT, piece INTEGER NOT NULL UNIQUE, collection TEXT NOT NULL, embedder TEXT NOT NULL,
        vector BLOB NOT NULL
    )""",
    "CREATE INDEX knowledge_vectors_of_collection ON knowledge_vectors (collection, embedder)",
    "CREATE TABLE knowledge_models (role TEXT PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE VIRTUAL TABLE knowledge_words USING fts5 (collection, text, tokenize = 'unicode61')",
    "CREATE TABLE knowledge_sources (document INTEGER PRIMARY KEY, kind TEXT NOT NULL, location TEXT NOT NULL)",
    "CREATE TABLE knowledge_folders (collection TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (collection, path))",
    "CREATE TRIGGER knowledge_document_deleted AFTER DELETE ON knowledge_documents "
    "BEGIN DELETE FROM knowledge_sources WHERE document = old.id; END",
    "CREATE TRIGGER knowledge_collection_deleted AFTER DELETE ON knowledge_collections "
    "BEGIN DELETE FROM knowledge_folders WHERE collection = old.id; END",
    "CREATE TABLE trusted_tools (chat TEXT NOT NULL, tool TEXT NOT NULL, PRIMARY KEY (chat, tool))",
    "CREATE TABLE chat_vectors (message INTEGER PRIMARY KEY, embedder TEXT NOT NULL, vector BLOB NOT NULL)",
    "CREATE TRIGGER message_changed AFTER UPDATE OF text ON messages WHEN old.text <> new.text "
    "BEGIN DELETE FROM chat_vectors WHERE message = old.id; END",
    "CREATE TRIGGER message_deleted AFTER DELETE ON messages BEGIN DELETE FROM chat_vectors WHERE message = old.id; END",
    "ALTER TABLE knowledge_collections ADD COLUMN guest INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE knowledge_collections ADD COLUMN searched REAL NOT NULL DEFAULT 0",
)


class _Connection(sqlite3.Connection):
    """Replaces lone surrogates in every text that is stored or searched for, since SQLite raises an error for them."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute(sql, [_valid(value) for value in parameters])

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return super().executemany(sql, ([_valid(value) for value in each] for each in parameters))


def _valid(value: Any) -> Any:
    return valid_text(value) if isinstance(value, str) else value


class Database:
    """Opens a connection for every transaction: SQLite files are cheap to open, and threads then share nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mindcubes.db"
        self._is_ready = False
        self.notice = ""        # shown on the page: a damaged file was set aside

    @contextmanager
    def transaction(self, *, is_writing: bool = False) -> Iterator[sqlite3.Connection]:
        """Commit at the end, roll back on an exception. Raises StorageError.

        `is_writing`: take the write lock at the beginning, so that no other process changes what was read before the commit.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
            with closing(sqlite3.connect(self.path, timeout=LOCK_WAIT_S, factory=_Connection)) as connection:
                connection.row_factory = sqlite3.Row
                with connection:
                    if is_writing:
                        connection.execute("BEGIN IMMEDIATE")
                    yield connection
        except (sqlite3.Error, OSError) as error:
            log.error("%s: %s", self.path, error)
            raise StorageError(str(self.path), getattr(error, "strerror", None) or str(error)) from error

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file and empty it, so that neither holds deleted rows; what a reader still needs stays.

        Raises StorageError.
        """
        with self.transaction() as connection:
            connection.execute("PRAGMA wal_checkpoint (TRUNCATE)")

    def _prepare(self) -> None:
        """Migrate the schema, once. A damaged file is renamed, with the time in its name, and a new one is created."""
        if self._is_ready:
            return
        try:
            with closing(sqlite3.connect(self.path, timeout=LOCK_WAIT_S)) as connection:
                self._migrate(connection)
        except sqlite3.DatabaseError as error:
            if not any(damage in str(error) for damage in DAMAGES):
                raise
            kept = self.path.with_name(f"{self.path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}{self.path.suffix}")
            self.path.rename(kept)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self.notice = f"The file with your chats was damaged ({error}). It is kept as {kept.name}, and a new one was created."
            log.error("%s", self.notice)
            with closing(sqlite3.connect(self.path, timeout=LOCK_WAIT_S)) as connection:
                self._migrate(connection)
        self._is_ready = True

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")       # two processes may start at the same time
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > len(MIGRATIONS):
                raise sqlite3.DatabaseError(f"it was written by a newer version of MindCubes ({version})")
            for migration in MIGRATIONS[version:]:
                connection.execute(migration)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
