"""A snapshot of the engine's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..messages import Thinking
from ..models.quantization import Quantization
from ..models.spec import LoadEvent, Released

State = Literal["empty", "loading", "ready", "unloading", "asleep"]       # asleep: unloaded until the next message

NO_THINKING = Thinking()


@dataclass(frozen=True, slots=True)
class Status:
    """The engine's state at one moment. Texts are empty where no model is loaded. `quantization`: of the weights in memory."""

    state: State
    model: str
    quantization: Quantization
    dtype: str
    device: str
    hardware: str
    window_tokens: int
    lane: str
    lane_reason: str
    used_bytes: int
    total_bytes: int
    running: int
    waiting: int
    stage: LoadEvent | None
    error: str
    notes: tuple[str, ...]
    released: Released | None = None        # of the latest unload
    reserved: str = ""                      # purpose of the exclusive use, if there is one
    thinking: Thinking = NO_THINKING
    stored: str = ""                        # how the repository stores its weights, if they are quantized there
    cache_use: tuple[int, int] = (0, 0)     # blocks of the paged cache that replies hold now, and all blocks
    reads_pictures: bool = False
