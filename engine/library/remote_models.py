"""Models on other servers: found, tried, kept and used. All of it is for the operator, so that no visitor of a public page can make
this machine send requests to addresses of their choice."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import EngineBusy
from ..models.spec import REMOTE, LoadOptions, ModelSpec
from ..remote import INFERENCE_PROVIDERS, Connection, RemoteFailed, RemoteModelInfo, RemoteModelMissing, RemoteServer
from ..remote.connection import MAX_NAME, base_address
from ..remote.connections import OF_SETTINGS
from ..runtime.engine import Engine
from ..runtime.load_job import LoadJob
from ..settings import Secret
from .permissions import Permissions, Visitor

UNKNOWN_MODEL = "unknown"       # the connection's model until one of the server's is chosen


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What a server offers, and how long it took to say so."""

    address: str
    models: tuple[RemoteModelInfo, ...]
    seconds: float


class RemoteModels:
    """Safe to use from many threads. Every method may raise NotPermitted and StorageError."""

    def __init__(self, engine: Engine, permissions: Permissions) -> None:
        self._engine, self._permissions = engine, permissions

    def may_connect(self, visitor: Visitor) -> bool:
        return self._permissions.is_operator(visitor)

    def connections(self, visitor: Visitor) -> tuple[Connection, ...]:
        """Return the connections; none to those who may not use them."""
        return self._engine.connections.all() if self.may_connect(visitor) else ()

    def ask(self, address: str, key: Secret, visitor: Visitor) -> ServerAnswer:
        """Ask a server for its models, without keeping anything; none if it has no list. Raises InvalidRequest and RemoteError."""
        self._require(visitor)
        connection = Connection(urlsplit(base_address(address)).netloc[:MAX_NAME], address, UNKNOWN_MODEL, self._key(address, key, visitor))
        started = time.monotonic()
        with closing(RemoteServer(connection)) as server:
            try:
                models = server.models()
            except (RemoteFailed, RemoteModelMissing):
                models = ()
            return ServerAnswer(connection.address, models, time.monotonic() - started)

    def connect(self, address: str, model: str, key: Secret, visitor: Visitor, *, keeps_key: bool = False) -> LoadJob:
        """Keep a connection and use it. One to the same model of the same server is replaced. Raises InvalidRequest and EngineBusy."""
        self._require(visitor)
        key = self._key(address, key, visitor)
        connection = Connection(self._name(address, model), address, model, key, keeps_key and bool(key))
        self._engine.connections.save(connection)
        return self.use(connection.name, visitor)

    def use(self, name: str, visitor: Visitor) -> LoadJob:
        """Put the model in the place of the loaded one. Raises EngineBusy; the load raises ModelNotFound and RemoteError."""
        self._require(visitor)
        return self._engine.start_loading(ModelSpec(REMOTE + name), LoadOptions())

    def forget(self, name: str, visitor: Visitor) -> None:
        """Delete a connection, with its key. Raises EngineBusy if it is in use."""
        self._require(visitor)
        if (spec := self._engine.spec) and spec.model == REMOTE + name:
            raise EngineBusy(f"{name} is loaded", "Load another model first.")
        self._engine.connections.delete(name)

    def _name(self, address: str, model: str) -> str:
        """That of the connection to the same model of the same server; else the model's, with a number if another one has it."""
        known = {each.name: (each.address, each.model) for each in self._engine.connections.all()}
        wanted = (base_address(address), model)
        if own := next((name for name, each in known.items() if each == wanted and name != OF_SETTINGS), None):
            return own
        names = (model[:MAX_NAME - 6].strip(), *(f"{model[:MAX_NAME - 6].strip()} ({number})" for number in range(2, len(known) + 3)))
        return next(name for name in names if name not in known and name != OF_SETTINGS)

    def _require(self, visitor: Visitor) -> None:
        self._permissions.require_operator(visitor, "use models on other servers")

    def _key(self, address: str, key: Secret, visitor: Visitor) -> Secret:
        """Without a key, the Hugging Face token for Hugging Face's own server, and for no other."""
        is_hub = base_address(address) == INFERENCE_PROVIDERS
        return key or (self._permissions.hub_token(visitor) or key if is_hub else key)
