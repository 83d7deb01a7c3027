"""Which models there are, and loading another one, for which the operator's key is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from engine import LoadOptions, ModelSpec, Quantization

from .errors import JSON, ApiError
from .fields import Body, warning
from .requests import LoadRequest
from .serving import Server, caller_of, description, descriptions
from .writing import event

NEEDS_ADMIN = ("Loading a model takes the operator's key. The operator makes it with `python -m api.keys admin`, "
               "and sets MINDCUBES_ADMIN_KEY.")


class WarmRequest(Body):
    """What `transformers chat` asks for before it begins."""

    model: str


def add_model_routes(api: FastAPI, server: Server) -> None:
    engine = server.engine

    @api.get("/v1/models")
    async def list_models() -> Response:
        """The loaded model, and its adapters."""
        return JSON({"object": "list", "data": descriptions(server)})

    @api.get("/v1/models/{model:path}")
    async def get_model(model: str) -> Response:
        """A model by its name, or by “default”."""
        spec = server.require_model(model) or next(iter(server.specs()), None)
        if spec is None:
            raise ApiError(404, "model_not_found", "No model is loaded.", "model")
        return JSON(next((each for each in descriptions(server) if each["id"] == model), None) or description(spec, server))

    @api.post("/v1/models/load")
    async def load_model(request: Request, body: LoadRequest) -> Response:
        """Load a model in place of the current one, and answer when it is ready. Needs the operator's key."""
        ignored = body.ignored()
        if not caller_of(request).is_admin:
            raise ApiError(403, "not_permitted", NEEDS_ADMIN)
        quantization = Quantization.parse(body.quantization, lambda: engine.hardware)
        spec = ModelSpec(body.model, body.revision, quantization)
        options = LoadOptions(body.context_tokens, body.concurrent_replies)
        await server.work(lambda: [*engine.load(spec, options)])
        return JSON(description(engine.spec or spec, server), headers=warning(ignored))

    @api.post("/load_model")
    async def warm_model(body: WarmRequest) -> Response:
        """For `transformers chat`: whether this model is loaded, as an event."""
        spec = server.require_model(body.model)
        status = engine.status()
        if not server.specs():
            raise ApiError(503, "no_model_loaded", f"No model is loaded. {status.error}".strip())
        name = spec.name if spec else status.model

        async def events() -> AsyncIterator[bytes]:
            yield event({"status": "ready", "model": name, "cached": True})

        return StreamingResponse(events(), media_type="text/event-stream")

