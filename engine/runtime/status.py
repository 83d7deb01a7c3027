"""A snapshot of the engine's state."""

from __future__ import annotations

from dataclasses import dataclass

from ..hardware import Hardware
from ..messages import Thinking
from ..models.quantization import Quantization
from ..models.spec import LoadEvent, Released
from .admission import Admission, State
from .load_job import LoadJob

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
    adapters: tuple[str, ...] = ()          # those that a reply can choose, by their names
    task: str = ""                          # of a model that does not chat (checkpoint/tasks.py)
    adapter: str = ""                       # the one that replies use if they choose none


def status_of(admission: Admission, job: LoadJob | None, hardware: Hardware | None, released: Released | None,
              notices: tuple[str, ...]) -> Status:
    """`hardware`: None while it is not yet detected. `notices`: sentences beside those of the model."""
    model, asleep = admission.model, admission.asleep
    spec = model.spec if model else asleep[0] if asleep else None
    adapters = model.adapters if model else None
    return Status(
        state=admission.state, model=spec.name if spec else "",
        quantization=model.quantization if model else spec.quantization if spec else Quantization.NONE,
        stored=model.stored if model else "", dtype=model.dtype if model else "",
        device=hardware.device if hardware and not (spec and spec.is_remote) else "",
        hardware=hardware.name if hardware else "", window_tokens=model.window_tokens if model else 0,
        lane=model.lane if model else "", lane_reason=model.lane_reason if model else "",
        used_bytes=hardware.used_bytes() if hardware else 0, total_bytes=hardware.total_bytes if hardware else 0,
        running=admission.num_leases, waiting=model.waiting if model else 0,
        stage=job.latest if job and admission.state == "loading" else None,
        error=admission.error, released=released, reserved=admission.reserved_for,
        thinking=model.thinking if model else Thinking(), cache_use=model.cache_use if model else (0, 0),
        reads_pictures=bool(model and model.reads_pictures),
        task=spec.task if spec else "", adapters=tuple(adapters.added) if adapters else (), adapter=adapters.default if adapters else "",
        notes=(*(model.notes if model else ()), *notices))
