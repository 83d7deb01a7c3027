"""The engine: the loaded model, admission to it, and how it is replaced."""

from .engine import Engine
from .load_job import LoadJob
from .status import Status

__all__ = ["Engine", "LoadJob", "Status"]
