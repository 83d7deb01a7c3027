"""Keys of the API that the operator made on the page. Only their hashes are kept: SHA-256, enough for keys of 256 random bits."""

from __future__ import annotations

import re
import secrets
import threading
from hashlib import sha256

from ..errors import InvalidRequest
from ..storage.database import Database
from ..storage.visitor_use import HashStore

PREFIX = "mc-"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
MAX_KEYS = 1000


class ApiKeys:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._store = HashStore(database, "api_keys")
        self._lock = threading.Lock()
        self._known: dict[str, str] | None = None       # the hash of each key, by name; read once, since every request needs it

    def all(self) -> dict[str, str]:
        """The hash of each key, by its name."""
        return {name: known for name, known in self._read().items() if known}

    @property
    def were_made(self) -> bool:
        """Whether there is a key, or was one: deleting the last one must not open the API."""
        return bool(self._read())

    def _read(self) -> dict[str, str]:
        with self._lock:
            if self._known is None:
                self._known = self._store.all()
            return self._known

    def add(self, name: str) -> str:
        """Make a key and return it; it can't be shown again. Raises InvalidRequest."""
        known = self.all()
        if not NAME.fullmatch(name):
            raise InvalidRequest("the name of the key", name[:40], "1 to 40 letters, digits, - or _")
        if name in known or name == "admin":
            raise InvalidRequest("the name of the key", name, "one that is not in use")
        if len(known) >= MAX_KEYS:
            raise InvalidRequest("keys", len(known) + 1, f"at most {MAX_KEYS:,}: delete one first")
        key = new_key()
        self._store.save(name, hash_of(key))
        self._forget()
        return key

    def delete(self, name: str) -> None:
        """From now on requests with this key are refused, also if it was the last one."""
        self._store.save(name, "")      # the name stays, and with it the lock: see were_made
        self._forget()

    def _forget(self) -> None:
        with self._lock:
            self._known = None


def new_key() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    return sha256(key.encode("utf-8", "replace")).hexdigest()
