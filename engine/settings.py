"""Settings, and the only code that reads them from the environment: environment over .env over defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import InvalidRequest
from .limits import OF_PUBLIC, Limits
from .public_mode import MAX_REPLIES

BUILTIN = "builtin"
NO_MODEL = "none"
HIDDEN = "***"      # in place of a value that may be a secret
OAUTH = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")     # set on a Space with hf_oauth: true


class Secret:
    """A text that is masked wherever it is printed; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Settings:
    """One field per variable of .env.example. Sizes in tokens, times in seconds."""

    model: str = BUILTIN
    quantization: str = "none"
    device: str = "auto"
    context_tokens: int = 8192              # upper bound of the context window that memory is reserved for
    concurrent_replies: int = 8             # how many full context windows the KV cache is sized for
    drain_timeout_s: float = 20.0           # how long an unload waits for running replies
    data_dir: Path = field(default_factory=lambda: Path.home() / ".mindcubes")
    cache_dir: Path | None = None           # None: that of huggingface_hub (HF_HOME)
    hf_token: Secret = field(default_factory=lambda: Secret(""))
    remote_url: str = ""                    # a server with OpenAI's API: the connection "server", which remote:server loads
    remote_model: str = ""                  # the name of its model there
    remote_key: Secret = field(default_factory=lambda: Secret(""))
    host: str = "127.0.0.1"
    port: int | None = None
    is_public: bool = False                 # on a Space, or MINDCUBES_PUBLIC: stricter limits
    max_waiting: int = MAX_REPLIES          # public mode: replies in progress before new ones are refused
    limits: Limits | None = None            # of each visitor; None: those of a public page, and none on a private one
    idle_unload_s: int = 0                  # unload a model after this long without use; the next message loads it again. 0: never
    allowed_models: tuple[str, ...] = ()    # public mode: models that may be loaded besides those of the catalog
    allowed_hosts: tuple[str, ...] = ()     # names under which the page may be opened besides localhost and addresses
    embedder: str = "intfloat/multilingual-e5-small"       # finds texts by their meaning: of the hub, a folder, or none (docs/knowledge.md)
    reranker: str = NO_MODEL                # a cross-encoder that sorts what was found
    is_zero_gpu: bool = False               # on a Space to which a GPU is lent for each reply
    is_shared: bool = False                 # GRADIO_SHARE: anyone can open the page through a link of Gradio's; public then
    mcp_servers: Path | None = None         # a file with the MCP servers whose tools the chat offers (tools/mcp_config.py)
    has_mcp: bool = False                   # programs can use the page through the Model Context Protocol
    space: str = ""                         # owner/name, on a Space
    space_host: str = ""                    # where that Space is served, without its scheme
    can_sign_in: bool = False               # on a Space that offers to sign in with Hugging Face (hf_oauth)
    operator: str = ""                      # public mode: the account that may change the model at any time
    api_keys: tuple[tuple[str, str], ...] = ()      # of the API: names, and SHA-256 of the keys in hexadecimal
    api_origins: tuple[str, ...] = ()       # of other sites whose pages may use the API, with their visitors' keys
    admin_key: str = ""                     # SHA-256 of the key with which the API loads models

    @property
    def visitor_limits(self) -> Limits:
        if self.limits is not None:
            return self.limits
        return OF_PUBLIC if self.is_public else Limits()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
        """Read the variables. Raises InvalidRequest with the name of a variable whose value is impossible."""
        real = os.environ if environ is None else environ
        values = {**_read_env_file(env_file or Path(".env")), **real}
        on_space = bool(values.get("SPACE_ID"))
        is_zero_gpu = values.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")      # as the package `spaces` reads it
        is_shared = _is_on(values, "GRADIO_SHARE")
        defaults = cls()
        port = _number(values, "GRADIO_SERVER_PORT", 7860 if on_space else 0)
        cache_dir, mcp_servers = values.get("MINDCUBES_CACHE_DIR"), values.get("MINDCUBES_MCP_SERVERS")
        is_public = on_space or is_shared or _is_on(values, "MINDCUBES_PUBLIC")
        return cls(
            model=values.get("MINDCUBES_MODEL") or defaults.model,
            quantization=(values.get("MINDCUBES_QUANTIZATION") or defaults.quantization).lower(),
            device=values.get("MINDCUBES_DEVICE") or defaults.device,
            context_tokens=_number(values, "MINDCUBES_CONTEXT_TOKENS", defaults.context_tokens, low=64),
            concurrent_replies=_number(values, "MINDCUBES_CONCURRENT_REPLIES", defaults.concurrent_replies, low=1),
            drain_timeout_s=_number(values, "MINDCUBES_DRAIN_TIMEOUT_S", int(defaults.drain_timeout_s)),
            data_dir=Path(values.get("MINDCUBES_DATA_DIR") or defaults.data_dir).expanduser(),
            cache_dir=Path(cache_dir).expanduser() if cache_dir else None,
            hf_token=Secret(values.get("HF_TOKEN", "")),
            remote_url=values.get("MINDCUBES_REMOTE_URL", ""), remote_model=values.get("MINDCUBES_REMOTE_MODEL", ""),
            remote_key=Secret(values.get("MINDCUBES_REMOTE_KEY", "")),
            host=values.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else defaults.host),
            port=port or None,
            is_public=is_public, limits=_limits(values, OF_PUBLIC if is_public else Limits()),
            is_shared=is_shared and not on_space, has_mcp=_is_on(values, "MINDCUBES_MCP"),
            mcp_servers=Path(mcp_servers).expanduser() if mcp_servers else None,
            space=values.get("SPACE_ID", ""), space_host=values.get("SPACE_HOST", "").split(",")[0],
            max_waiting=_number(values, "MINDCUBES_MAX_WAITING", defaults.max_waiting, low=1),
            idle_unload_s=0 if is_zero_gpu else 60 * _number(values, "MINDCUBES_IDLE_MINUTES", 0),
            allowed_models=_names(values, "MINDCUBES_ALLOWED_MODELS"), allowed_hosts=_names(values, "MINDCUBES_ALLOWED_HOSTS"),
            embedder=values.get("MINDCUBES_EMBEDDER") or defaults.embedder, reranker=values.get("MINDCUBES_RERANKER") or defaults.reranker,
            is_zero_gpu=is_zero_gpu,
            can_sign_in=on_space and all(values.get(name) for name in OAUTH),
            operator=values.get("MINDCUBES_OPERATOR") or values.get("SPACE_AUTHOR_NAME", ""),
            api_origins=_names(values, "MINDCUBES_API_ORIGINS"),
            api_keys=tuple(_key(each) for each in _names(values, "MINDCUBES_API_KEYS")),
            admin_key=_hash("MINDCUBES_ADMIN_KEY", values.get("MINDCUBES_ADMIN_KEY", "").strip()),
        )


def _limits(values: Mapping[str, str], defaults: Limits) -> Limits:
    return Limits(
        messages_per_minute=_number(values, "MINDCUBES_MESSAGES_PER_MINUTE", defaults.messages_per_minute),
        tokens_per_day=_number(values, "MINDCUBES_TOKENS_PER_DAY", defaults.tokens_per_day),
        message_chars=_number(values, "MINDCUBES_MESSAGE_CHARS", defaults.message_chars),
        replies_at_once=_number(values, "MINDCUBES_REPLIES_AT_ONCE", defaults.replies_at_once),
        knowledge_documents=_number(values, "MINDCUBES_KNOWLEDGE_DOCUMENTS", defaults.knowledge_documents),
        knowledge_mb=_number(values, "MINDCUBES_KNOWLEDGE_MB", defaults.knowledge_mb),
        knowledge_pieces=_number(values, "MINDCUBES_KNOWLEDGE_PIECES", defaults.knowledge_pieces))


def _is_on(values: Mapping[str, str], name: str) -> bool:
    return values.get(name, "").lower() in ("1", "true", "yes")


def _names(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in values.get(name, "").split(","))))


def _key(text: str) -> tuple[str, str]:
    name, separator, digest = text.rpartition(":")
    if not separator or not name.strip() or not digest.strip():
        raise InvalidRequest("MINDCUBES_API_KEYS", HIDDEN, "names with hashes (name:hash), as `python -m api.keys NAME` prints them")
    return name.strip(), _hash("MINDCUBES_API_KEYS", digest.strip())


def _hash(variable: str, digest: str) -> str:
    """A SHA-256 in hexadecimal, or "". An invalid value may be a key, so the error does not repeat it."""
    if digest and not re.fullmatch("[0-9a-f]{64}", digest):
        raise InvalidRequest(variable, HIDDEN, "the hash of a key, as `python -m api.keys NAME` prints it, and never the key itself")
    return digest


def _number(values: Mapping[str, str], name: str, default: int, low: int = 0) -> int:
    text = values.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or int(text) < low:
        raise InvalidRequest(name, text, f"a whole number of at least {low}")
    return int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest(path.name, "a file in another encoding", "saved as UTF-8") from None


def _read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines; blank lines and lines that begin with # are skipped, quotes around a value are removed."""
    if not path.is_file():
        return {}
    pairs = (line.split("=", 1) for line in _text(path).splitlines()
             if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, value in pairs if value.strip()}
