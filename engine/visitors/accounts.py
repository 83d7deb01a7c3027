"""Accounts for signing in, off a Space. Passwords are stored as scrypt hashes (RFC 7914), each with its own salt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from functools import cached_property

from ..errors import InvalidRequest
from ..storage.database import Database
from ..storage.visitor_use import HashStore

# 16 MiB and about 50 ms for each guess: the parameters that OWASP's password storage cheat sheet gives for this memory, with p = 5.
N, R, P, SALT_BYTES, HASH_BYTES = 2**14, 8, 5, 16, 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
MIN_PASSWORD, MAX_PASSWORD = 8, 200


class Accounts:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._store = HashStore(database, "accounts")
        self._one_at_a_time = threading.Lock()      # guesses of many visitors must not take the memory of the model
        self._unknown = hash_of(secrets.token_hex())

    @cached_property
    def are_used(self) -> bool:
        """Whether there was an account when this was asked first: the page decides at its start whether it asks for one."""
        return bool(self._store.all())

    def names(self) -> tuple[str, ...]:
        return tuple(self._store.all())

    def save(self, name: str, password: str) -> None:
        """Add an account, or change its password. Raises InvalidRequest."""
        if not NAME.fullmatch(name):
            raise InvalidRequest("the name", name[:40], "1 to 40 letters, digits, or . _ -")
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise InvalidRequest("the password", f"{len(password)} characters long", f"{MIN_PASSWORD} to {MAX_PASSWORD} characters long")
        self._store.save(name, hash_of(password))

    def delete(self, name: str) -> None:
        """Raises InvalidRequest for an unknown name."""
        if name not in self._store.all():
            raise InvalidRequest("the name", name[:40], "one of the accounts")
        self._store.delete(name)

    def may_sign_in(self, name: str, password: str) -> bool:
        """Whether the password is that of the account. It takes the same time for an unknown name."""
        known = self._store.all().get(name, "")
        with self._one_at_a_time:
            matches = _matches(password[:MAX_PASSWORD], known or self._unknown)
        return matches and bool(known)


def hash_of(password: str) -> str:
    """The parameters, the salt and the hash, as text."""
    salt = secrets.token_bytes(SALT_BYTES)
    parts = (salt, _scrypt(password, salt, N, R, P))
    return "$".join(("scrypt", str(N), str(R), str(P), *(base64.b64encode(part).decode() for part in parts)))


def _matches(password: str, known: str) -> bool:
    _, n, r, p, salt, digest = known.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, maxmem=2 * 128 * n * r, dklen=HASH_BYTES)
