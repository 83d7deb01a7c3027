"""Sends requests to the model hub, with one address and one token, and raises every failure as an EngineError.

Errors of the client library contain the request, and the request contains the token. So they are not even kept as the cause of
ours; the message has their type or HTTP status instead.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

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
    from huggingface_hub import DatasetInfo, HfApi, ModelInfo

Result = TypeVar("Result")
Element = TypeVar("Element")
LONGEST_WAIT_S = 30.0       # a longer rate limit is raised instead of waited for
TICK_S = 0.1                # the longest time until a stop takes effect
UNKNOWN_WAIT_S = 300.0      # the hub counts requests in windows of five minutes


def is_offline() -> bool:
    from huggingface_hub import is_offline_mode

    return bool(is_offline_mode())


@dataclass(frozen=True, slots=True)
class HubClient:
    """`token`: None for the login of this machine, an empty one for no login. `timeout_s`: the longest time without data from the hub."""

    endpoint: str
    token: Secret | None
    timeout_s: float

    def file_url(self, repo: str, sha: str, path: str, kind: Literal["model", "dataset"] = "model") -> str:
        from huggingface_hub import hf_hub_url

        return str(hf_hub_url(repo, path, repo_type=kind, revision=sha, endpoint=self.endpoint))

    def json(self, path: str, subject: str, params: dict[str, Any] | None = None) -> Any:
        """Return the API's response to `path`. `subject`: what an error is about. Raises what `get` raises."""
        return self.get(f"{self.endpoint}{path}", subject, lambda response: decoded(response.read(), subject), params=params)

    def page(self, url: str, subject: str, params: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        """Return one page of a list, and the address of the next one: always on this endpoint, so that no other host gets the token.

        (HfApi.list_models follows any address, and has no time-out.) Raises what `get` raises.
        """
        def read(response: Response) -> tuple[list[dict[str, Any]], str | None]:
            items, following = decoded(response.read(), subject), response.links.get("next", {}).get("url")
            if not isinstance(items, list) or not all(isinstance(item, dict) and "id" in item for item in items):
                raise HubUnreachable(subject, "its answer is not a list of models")
            address = urlsplit(following) if following else None
            return items, f"{self.endpoint}{address.path}?{address.query}" if address else None

        return self.get(url, subject, read, params=params or None)

    def read_start(self, url: str, subject: str, num_bytes: int, start: int = 0) -> bytes:
        """Return at most `num_bytes` bytes of a file from `start` on; no more is read even if the hub sends more.

        Raises what `get` raises.
        """
        def read(response: Response) -> bytes:
            skipped = start if response.status_code == 200 else 0       # the hub ignored the range
            received = bytearray()
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) >= skipped + num_bytes:
                    break
            return bytes(received[skipped:skipped + num_bytes])

        return self.get(url, subject, read, byte_range=f"bytes={start}-{start + num_bytes - 1}")

    def model_info(self, repo: str, revision: str | None, *, has_sizes: bool = True) -> ModelInfo:
        """Return what the hub lists about a model. `has_sizes`: with the size and the hash of each file. Raises what `get` raises."""
        return self._info(repo, lambda api: api.model_info(
            repo, revision=revision, timeout=self.timeout_s, files_metadata=has_sizes))

    def dataset_info(self, repo: str, revision: str | None) -> DatasetInfo:
        """The same about a data set, with sizes and hashes."""
        return self._info(f"datasets/{repo}", lambda api: api.dataset_info(
            repo, revision=revision, timeout=self.timeout_s, files_metadata=True))

    def _info(self, subject: str, ask: Callable[[HfApi], Result]) -> Result:
        from huggingface_hub import HfApi

        api = HfApi(self.endpoint, token=self._token(subject))

        def call() -> Result:
            try:
                return ask(api)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise HubUnreachable(subject, f"its answer is not a repository's ({type(error).__name__})") from None
        return self._call(subject, call)

    def with_api(self, subject: str, use: Callable[[HfApi], Result]) -> Result:
        """Return the result of `use`, which calls the client library. Raises what `get` raises, and HubUnreachable for an odd answer."""
        return self._info(subject, use)

    def get(self, url: str, subject: str, use: Callable[[Response], Result], *, params: dict[str, Any] | None = None,
            byte_range: str = "") -> Result:
        """Return the result of `use`, which reads the response while it arrives. Waits once if a rate limit ends soon.

        Raises HubUnreachable (also as HubOffline and RateLimited), ModelNotFound, ModelAccessDenied, TokenRejected,
        UnsupportedModel for a disabled model, and what `use` raises.
        """
        from huggingface_hub import get_session, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers

        headers = {**build_hf_headers(token=self._token(subject)), "Accept-Encoding": "identity",
                   **({"Range": byte_range} if byte_range else {})}

        def call() -> Result:
            with get_session().stream("GET", url, params=params, headers=headers, timeout=self.timeout_s) as response:
                hf_raise_for_status(response)
                return use(response)
        return self._call(subject, call)

    def _call(self, subject: str, call: Callable[[], Result]) -> Result:
        result = self._once(subject, call)
        if isinstance(result, RateLimited) and result.retry_after_s <= LONGEST_WAIT_S:
            time.sleep(result.retry_after_s)
            result = self._once(subject, call)
        if isinstance(result, EngineError):
            raise result
        return result

    def _once(self, subject: str, call: Callable[[], Result]) -> Result | LoadError:
        """Return the result, or the error to raise: if raised here, it would keep the library's error as its context."""
        import httpx2
        from huggingface_hub import errors

        try:
            return call()
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
        if status in (401, 403) and str(response.url).startswith(self.endpoint):   # a 403 of the storage: a signed address has expired
            return ModelAccessDenied(subject, has_token=has_token)
        return RateLimited(subject, _retry_after_s(response.headers)) if status == 429 else HubUnreachable(subject, f"HTTP {status}")

    def _token(self, subject: str) -> str | bool | None:
        """Return the token for the client library, False for none. Raises TokenRejected."""
        if self.token is None:
            return None
        text = self.token.reveal().strip()
        if text and not re.fullmatch("[!-~]{1,500}", text):     # it cannot be sent in a header, and the error would quote it
            raise TokenRejected(subject)
        return text or False


def in_background(work: Callable[[Callable[[Element], bool]], None], idle: Element, subject: str,
                  stop: threading.Event) -> Generator[Element, None, None]:
    """Yield what `work` puts, which runs in a separate thread so that a stop takes effect while no data arrives.

    The queue is bounded, unlike that of background.in_thread: a slow disk must slow the network down. Yields `idle` after every
    TICK_S of silence. Raises DownloadStopped and what `work` raises.
    """
    arrived: queue.Queue[Element | Exception | None] = queue.Queue(64)
    left = threading.Event()

    def put(item: Element | Exception | None) -> bool:
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
        except Exception as error:      # raised in the reader's thread
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


def stoppable(stop: threading.Event, subject: str, call: Callable[[], Element]) -> Element:
    """Return the result of a call that may block. Raises DownloadStopped if the stop comes first."""
    def work(put: Callable[[Element | None], bool]) -> None:
        put(call())

    return next(item for item in in_background(work, None, subject, stop) if item is not None)


def decoded(content: bytes, subject: str) -> Any:
    """Parse JSON. Raises HubUnreachable for anything else, such as the page of a captive portal or a proxy."""
    try:
        return json.loads(content)
    except ValueError:
        raise HubUnreachable(subject, "its answer is not JSON") from None


def _retry_after_s(headers: Any) -> float:
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    seconds = headers.get("Retry-After", "").strip()
    return float(seconds) if seconds.isdigit() else UNKNOWN_WAIT_S
