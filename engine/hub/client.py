"""Asking the model hub: one address, one token, and every failure as one of ours.

What the client library raises holds the request, and the request holds the token. So nothing of it is kept here, not even
as the cause of ours: its type or its HTTP status is in the text instead.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from ..errors import (
    DownloadStopped,
    EngineError,
    HubOffline,
    HubUnreachable,
    LoadError,
    ModelAccessDenied,
    ModelNotFound,
    RateLimited,
    TokenRejected,
    UnsupportedModel,
)
from ..settings import Secret

if TYPE_CHECKING:
    from httpx2 import Response

Result = TypeVar("Result")
Item = TypeVar("Item")
LONGEST_WAIT_S = 30.0       # a rate limit that passes sooner is waited for; a longer one is told
TICK_S = 0.1                # how long a stop waits at most to be heard
UNKNOWN_WAIT_S = 300.0      # the hub counts requests in windows of five minutes


def is_offline() -> bool:
    from huggingface_hub import is_offline_mode

    return bool(is_offline_mode())


@dataclass(frozen=True, slots=True)
class HubClient:
    """`token`: None for what this machine is logged in with, an empty one for nobody. `timeout_s` is for silence."""

    endpoint: str
    token: Secret | None
    timeout_s: float

    def file_url(self, repo: str, sha: str, path: str) -> str:
        return f"{self.endpoint}/{repo}/resolve/{sha}/{quote(path)}"

    def json(self, path: str, subject: str, params: dict[str, Any] | None = None) -> Any:
        """The answer of `path` of the API. `subject` is what an error speaks of. Raises as `ask` does."""
        return self.ask(f"{self.endpoint}{path}", subject, lambda response: decoded(response.read(), subject), params=params)

    def page(self, url: str, subject: str, params: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        """A list of the API, and the address of what follows: always on this endpoint, whatever the hub calls itself.

        Raises as `ask` does.
        """
        def read(response: Response) -> tuple[list[dict[str, Any]], str | None]:
            items, following = decoded(response.read(), subject), response.links.get("next", {}).get("url")
            if not isinstance(items, list) or not all(isinstance(item, dict) and "id" in item for item in items):
                raise HubUnreachable(subject, "its answer is not a list of models")
            address = urlsplit(following) if following else None
            return items, f"{self.endpoint}{address.path}?{address.query}" if address else None

        return self.ask(url, subject, read, params=params or None)

    def start_of(self, url: str, subject: str, num_bytes: int, start: int = 0) -> bytes:
        """At most `num_bytes` bytes of a file from `start` on; more is not read, even where the hub sends more.

        Raises as `ask` does.
        """
        def read(response: Response) -> bytes:
            skipped = start if response.status_code == 200 else 0       # the range was ignored
            came = bytearray()
            for chunk in response.iter_bytes():
                came += chunk
                if len(came) >= skipped + num_bytes:
                    break
            return bytes(came[skipped:skipped + num_bytes])

        return self.ask(url, subject, read, byte_range=f"bytes={start}-{start + num_bytes - 1}")

    def ask(self, url: str, subject: str, use: Callable[[Response], Result], *, params: dict[str, Any] | None = None,
            byte_range: str = "") -> Result:
        """What `use` makes of the answer while it arrives. Waits once where a rate limit passes soon.

        Raises HubUnreachable (also as HubOffline and RateLimited), ModelNotFound, ModelAccessDenied, TokenRejected,
        UnsupportedModel for a disabled one, and what `use` raises.
        """
        headers = {**self._headers(subject), "Accept-Encoding": "identity", **({"Range": byte_range} if byte_range else {})}
        result = self._once(url, subject, use, params, headers)
        if isinstance(result, RateLimited) and result.retry_after_s <= LONGEST_WAIT_S:
            time.sleep(result.retry_after_s)
            result = self._once(url, subject, use, params, headers)
        if isinstance(result, EngineError):
            raise result
        return result

    def _once(self, url: str, subject: str, use: Callable[[Response], Result], params: dict[str, Any] | None,
              headers: dict[str, str]) -> Result | LoadError:
        import httpx2
        from huggingface_hub import errors, get_session, hf_raise_for_status

        try:
            with get_session().stream("GET", url, params=params, headers=headers, timeout=self.timeout_s) as response:
                hf_raise_for_status(response)
                return use(response)
        except errors.OfflineModeIsEnabled:
            return HubOffline(subject)
        except errors.HfHubHTTPError as error:
            return self._refused(error, subject)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return HubUnreachable(subject, type(error).__name__)

    def _refused(self, error: Any, subject: str) -> LoadError:
        from huggingface_hub import errors

        response = error.response
        status, code, message = response.status_code, response.headers.get("X-Error-Code"), str(error).lower()
        has_token = "authorization" in (response.history or [response])[0].request.headers
        if status == 401 and has_token and (code is None or "invalid" in message):
            return TokenRejected(subject)
        if isinstance(error, errors.GatedRepoError):
            return ModelAccessDenied(subject, has_token=has_token)
        if isinstance(error, errors.DisabledRepoError):
            return UnsupportedModel(subject, "the hub has disabled it.")
        if isinstance(error, errors.RevisionNotFoundError):
            return ModelNotFound(subject, "the hub under this revision")
        if status == 404 or isinstance(error, errors.RepositoryNotFoundError):
            return ModelNotFound(subject, "the hub" if has_token else "the hub, unless it is private and needs a token")
        if status in (401, 403) and str(response.url).startswith(self.endpoint):   # elsewhere a signed address has run out
            return ModelAccessDenied(subject, has_token=has_token)
        return RateLimited(subject, _retry_after_s(response.headers)) if status == 429 else HubUnreachable(subject, f"HTTP {status}")

    def _headers(self, subject: str) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers

        if self.token is None:
            return dict(build_hf_headers())
        text = self.token.reveal().strip()
        if text and not re.fullmatch("[!-~]{1,500}", text):     # what no header can hold would be quoted in its error
            raise TokenRejected(subject)
        return dict(build_hf_headers(token=text or False))


def in_background(work: Callable[[Callable[[Item], bool]], None], idle: Item, subject: str, stop: threading.Event) -> Iterator[Item]:
    """What `work` puts, out of a thread of its own, so that a stop is heard while the network is silent.

    Yields `idle` when nothing came for a while. Raises DownloadStopped and what `work` raises.
    """
    arrived: queue.Queue[Item | Exception | None] = queue.Queue(64)
    left = threading.Event()

    def put(item: Item | Exception | None) -> bool:
        while not left.is_set():
            try:
                arrived.put(item, timeout=TICK_S)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            work(put)
            put(None)
        except Exception as error:      # raised where it is waited for
            put(error)

    threading.Thread(target=run, name="download", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                item = arrived.get(timeout=TICK_S)
            except queue.Empty:
                yield idle
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
        raise DownloadStopped(subject)
    finally:
        left.set()


def until(stop: threading.Event, subject: str, call: Callable[[], Item]) -> Item:
    """The result of a call that may block. Raises DownloadStopped where the stop comes first."""
    def work(put: Callable[[Item | None], bool]) -> None:
        put(call())

    return next(item for item in in_background(work, None, subject, stop) if item is not None)


def decoded(content: bytes, subject: str) -> Any:
    """Raises HubUnreachable where this is no JSON: a captive portal, a proxy's page."""
    try:
        return json.loads(content)
    except ValueError:
        raise HubUnreachable(subject, "its answer is not JSON") from None


def _retry_after_s(headers: Any) -> float:
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    told = headers.get("Retry-After", "").strip()
    return float(told) if told.isdigit() else UNKNOWN_WAIT_S
