"""The engine: one loaded model, who may use it, how it is replaced."""

from .engine import Engine
from .load_job import LoadJob
from .status import Status

__all__ = ["Engine", "LoadJob", "Status"]
