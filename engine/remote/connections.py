"""The connections of this machine: those in the database, and the one that the settings name."""

from __future__ import annotations

import threading
from dataclasses import replace

from ..errors import InvalidRequest, ModelNotFound
from ..models.spec import REMOTE
from ..settings import Secret, Settings
from ..storage.connections import ConnectionRow, ConnectionStore
from ..storage.database import Database
from .connection import Connection

OF_SETTINGS = "server"      # the name of the connection of MINDCUBES_REMOTE_URL
MAX_CONNECTIONS = 100


class Connections:
    """Safe to use from many threads. A key that is not to be kept stays in memory. Every method may raise StorageError."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._store, self._settings = ConnectionStore(database), settings
        self._keys: dict[str, Secret] = {}
        self._lock = threading.Lock()

    def all(self) -> tuple[Connection, ...]:
        own = self._of_settings()
        stored = tuple(self._connection(row) for row in self._store.all() if own is None or row.name != own.name)
        return (own, *stored) if own else stored

    def get(self, spec_model: str) -> Connection:
        """The connection that a ModelSpec names. Raises ModelNotFound."""
        name = spec_model.removeprefix(REMOTE)
        found = next((each for each in self.all() if each.name == name), None)
        if found is None:
            raise ModelNotFound(name, "the connections to other servers")
        return found

    def save(self, connection: Connection) -> None:
        """Add a connection, or replace the one of this name. Raises InvalidRequest."""
        known = {each.name for each in self.all()}
        if connection.name == OF_SETTINGS:
            raise InvalidRequest("the name of the connection", OF_SETTINGS, "another one: it stands for MINDCUBES_REMOTE_URL")
        if connection.name not in known and len(known) >= MAX_CONNECTIONS:
            raise InvalidRequest("connections", len(known) + 1, f"at most {MAX_CONNECTIONS}: delete one first")
        key = connection.key.reveal() if connection.keeps_key else ""
        self._store.save(ConnectionRow(connection.name, connection.address, connection.model, key))
        with self._lock:
            self._keys[connection.name] = connection.key

    def delete(self, name: str) -> None:
        self._store.delete(name)
        with self._lock:
            self._keys.pop(name, None)

    def _connection(self, row: ConnectionRow) -> Connection:
        found = Connection(row.name, row.address, row.model, Secret(row.key), keeps_key=bool(row.key))
        with self._lock:
            return found if row.key else replace(found, key=self._keys.get(row.name, Secret("")))

    def _of_settings(self) -> Connection | None:
        settings = self._settings
        if not settings.remote_url:
            return None
        return Connection(OF_SETTINGS, settings.remote_url, settings.remote_model, settings.remote_key)
