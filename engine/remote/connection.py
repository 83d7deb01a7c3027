"""Where a model on another server is: its address, its name there, and the key that the server asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from ..errors import InvalidRequest
from ..models.spec import REMOTE
from ..settings import Secret

INFERENCE_PROVIDERS = "https://router.huggingface.co/v1"     # of Hugging Face; it speaks the same API
MAX_NAME, MAX_ADDRESS, MAX_MODEL, MAX_KEY = 80, 500, 300, 500
ENDPOINTS = ("/chat/completions", "/completions", "/models", "/responses")


@dataclass(frozen=True, slots=True)
class Connection:
    """One model on one server. `address`: up to and including /v1. `keeps_key`: the key is stored in the database of this machine."""

    name: str
    address: str
    model: str
    key: Secret = field(default_factory=lambda: Secret(""))
    keeps_key: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.model) <= MAX_MODEL or not self.model.isprintable():
            raise InvalidRequest("the model of the connection", self.model[:80], f"a name of at most {MAX_MODEL} characters")
        if not 0 < len(self.name) <= MAX_NAME or not self.name.isprintable() or self.name != self.name.strip():
            raise InvalidRequest("the name of the connection", self.name[:MAX_NAME], f"1 to {MAX_NAME} printable characters")
        key = self.key.reveal()
        if len(key) > MAX_KEY or not (key.isascii() and key.isprintable()) or " " in key:
            raise InvalidRequest("the key of the connection", "***", f"at most {MAX_KEY} printable ASCII characters, without spaces")
        object.__setattr__(self, "address", base_address(self.address))

    @property
    def spec_model(self) -> str:
        """What ModelSpec takes."""
        return REMOTE + self.name

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc


def base_address(typed: str) -> str:
    """Return the address up to /v1, from one that may lack it or name an endpoint. Raises InvalidRequest."""
    typed = typed.strip()
    expected = "http:// or https://, a host, and perhaps a port, such as http://192.168.1.20:8000"
    try:
        parts = urlsplit(typed)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or len(typed) > MAX_ADDRESS or any(char.isspace() for char in typed):
        raise InvalidRequest("the address", typed[:80], expected)
    if parts.username or parts.password:
        raise InvalidRequest("the address", f"one with a password, at {parts.hostname}", "without it: the key has a field of its own")
    path = parts.path.rstrip("/")
    path = next((path.removesuffix(each) for each in ENDPOINTS if path.endswith(each)), path)
    return urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", ""))
