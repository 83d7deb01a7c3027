"""/metrics, in the format of Prometheus: requests, tokens and times of this API, and the state of the engine that answers them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine import Engine, Finished

TTFT_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TPOT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class EngineState(Collector):
    """Reads the engine when the metrics are asked for, so that nothing is counted in between."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        status = self._engine.status()
        used, blocks = status.cache_use
        for name, value, meaning in (
                ("replies_running", status.running, "Replies in progress, of the page too"),
                ("replies_waiting", status.waiting, "Replies that wait for others"),
                ("cache_blocks_used", used, "Blocks of the KV cache that replies hold"),
                ("cache_blocks", blocks, "Blocks of the KV cache"),
                ("memory_used_bytes", status.used_bytes, "Memory in use on the model's device"),
                ("memory_bytes", status.total_bytes, "Memory of the model's device"),
                ("context_window_tokens", status.window_tokens, "Context window of the loaded model")):
            yield GaugeMetricFamily(f"mindcubes_{name}", meaning, value)
        yield InfoMetricFamily("mindcubes_model", "The loaded model", {
            "name": status.model, "quantization": str(status.quantization), "dtype": status.dtype, "state": status.state,
            "device": status.device, "lane": status.lane})


class Metrics:
    """Used by the event loop only, except `text`."""

    def __init__(self, engine: Engine) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=False)
        registry.register(EngineState(engine))
        self._requests = Counter("mindcubes_requests", "Answered requests", ["path", "status"], registry=registry)
        self._tokens = Counter("mindcubes_tokens", "Tokens: of prompts, of them found in the cache or dropped, and of replies", ["kind"],
                               registry=registry)
        self._ttft = Histogram("mindcubes_ttft_seconds", "Time to first token", buckets=TTFT_S, registry=registry)
        self._tpot = Histogram("mindcubes_tpot_seconds", "Time per output token after the first", buckets=TPOT_S, registry=registry)

    def answered(self, path: str, status: int) -> None:
        self._requests.labels(path, str(status)).inc()

    def finished(self, event: Finished) -> None:
        """Count one reply. Those that were stopped before their first token have no times."""
        usage = event.usage
        for kind, count in (("prompt", usage.prompt_tokens), ("cached", usage.cached_tokens), ("dropped", usage.dropped_tokens),
                            ("new", usage.new_tokens), ("reasoning", usage.reasoning_tokens)):
            self._tokens.labels(kind).inc(count)
        if usage.new_tokens:
            self._ttft.observe(usage.ttft_s)
        if usage.tokens_per_second > 0:
            self._tpot.observe(1 / usage.tokens_per_second)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class RequestCounter:
    """ASGI middleware that counts answers by their status and by the route, never by what a client wrote in its place."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                self._metrics.answered(getattr(route, "path", "other"), message["status"])
            await send(message)

        await self._app(scope, receive, counted)
