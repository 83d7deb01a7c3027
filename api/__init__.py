"""An API like OpenAI's in front of the engine: the same process, the same model and the same limits as the page (docs/api.md)."""

from .app import build_api, routes

__all__ = ["build_api", "routes"]
