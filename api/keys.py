"""Keys of the API: who may use it. `python -m api.keys NAME` makes one and prints it once, with the line that permits it.

Only hashes are kept: in the settings, or of keys that were made on the page in the database. Without any key a private API is open
to whoever reaches it; but once a key was made on the page, or if the page asks for a sign-in, and on a public page, requests without a
key are refused, except for /health.
"""

from __future__ import annotations

import hmac
import sys
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from engine import Engine
from engine.visitors import hash_of, new_key

from .errors import ApiError, answer

OPEN_PATHS = ("/health",)
CALLER = "mindcubes.caller"     # the key of the caller in a request's scope
HOW = "Send one as “Authorization: Bearer …”; the operator makes it with `python -m api.keys NAME`."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the name of a key, or a hash of the client's address. Each has limits, and callers take turns in the engine."""

    name: str
    is_admin: bool = False


class Keys:
    """Compares a key with all known ones, in a time that does not depend on it."""

    def __init__(self, engine: Engine) -> None:
        settings = engine.settings
        self._given, self._admin, self._is_public = settings.api_keys, settings.admin_key, settings.is_public
        self._made, self._has_accounts = engine.api_keys, engine.accounts.are_used     # the page asks for a sign-in then

    def caller(self, key: str, address: str) -> Caller:
        """Raises ApiError if a key is needed and this is not one."""
        digest, users = hash_of(key), (*self._given, *self._made.all().items())
        names = [name for name, known in users if hmac.compare_digest(digest, known)]
        if self._admin and hmac.compare_digest(digest, self._admin):
            return Caller("admin", is_admin=True)
        if names:
            return Caller(names[0])
        if key and (users or self._admin or self._made.were_made):
            raise ApiError(401, "invalid_api_key", f"This key is not known here. {HOW}", headers={"WWW-Authenticate": "Bearer"})
        if users or self._is_public or self._has_accounts or self._made.were_made:
            raise ApiError(401, "invalid_api_key", f"This server answers only requests with a key. {HOW}",
                           headers={"WWW-Authenticate": "Bearer"})
        return Caller(hash_of(f"address {address}"))


class KeyGuard:
    """ASGI middleware that refuses requests without a key before it reads them, and notes the caller of the others."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            headers, client = Headers(scope=scope), scope.get("client")
            scheme, _, key = headers.get("authorization", "").partition(" ")
            try:
                scope[CALLER] = self._keys.caller(key.strip() if scheme.lower() == "bearer" else "", client[0] if client else "")
            except ApiError as error:
                await answer(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not arguments[0].replace("-", "").replace("_", "").isalnum():
        print("Usage: python -m api.keys NAME      (letters, digits, - and _; “admin” for the key that may load models)")
        return 2
    name, key = arguments[0], new_key()
    variable = f"MINDCUBES_ADMIN_KEY={hash_of(key)}" if name == "admin" else f"MINDCUBES_API_KEYS={name}:{hash_of(key)}"
    print(f"{key}\n\nThis key is shown only now. Permit it in .env or the environment, after a comma if there are others:\n\n{variable}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
