"""What the operator sees and decides about visitors: who uses how much (counts only), limits, keys of the API, a pause for maintenance."""

from __future__ import annotations

from ..limits import Limits
from ..runtime.engine import Engine
from ..visitors import VisitorUse
from .permissions import Permissions, Visitor


class Operation:
    """Safe to use from many threads. Every method may raise NotPermitted and StorageError."""

    def __init__(self, engine: Engine, permissions: Permissions) -> None:
        self._engine, self._permissions = engine, permissions

    def may_operate(self, visitor: Visitor) -> bool:
        return self._permissions.is_operator(visitor)

    def today(self, visitor: Visitor) -> tuple[VisitorUse, ...]:
        """Everybody who used something today (UTC)."""
        self._require(visitor)
        return self._engine.visitors.today()

    def limits(self) -> Limits:
        return self._engine.visitors.limits

    def set_limits(self, limits: Limits, visitor: Visitor) -> None:
        """For now and for later starts."""
        self._require(visitor)
        self._engine.visitors.set_limits(limits)

    @property
    def is_draining(self) -> bool:
        return self._engine.visitors.is_draining

    def drain(self, is_draining: bool, visitor: Visitor) -> None:
        """While it is on, replies in progress go on and no new one begins, of anybody."""
        self._require(visitor)
        self._engine.visitors.drain(is_draining)

    def keys(self, visitor: Visitor) -> tuple[str, ...]:
        """The names of the API's keys that were made here."""
        self._require(visitor)
        return tuple(self._engine.api_keys.all())

    def add_key(self, name: str, visitor: Visitor) -> str:
        """Make a key, and return it once. Raises InvalidRequest."""
        self._require(visitor)
        return self._engine.api_keys.add(name)

    def delete_key(self, name: str, visitor: Visitor) -> None:
        self._require(visitor)
        self._engine.api_keys.delete(name)

    def _require(self, visitor: Visitor) -> None:
        self._permissions.require_operator(visitor, "see and change what visitors may use")
