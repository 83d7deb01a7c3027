"""A snapshot of the engine's state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..hardware import Hardware
from ..messages import Thinking
from ..models.quantization import Quantization
from ..models.spec import LoadEvent, ModelSpec, Released, adapter_name
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
    calls_tools: bool = False               # its chat template has a form of its own for calls of tools


def adapters_of(admission: Admission, job: LoadJob | None) -> tuple[tuple[str, ...], str]:
    """The adapters that a reply can choose, by their names, and the one that replies use if they choose none.

    Also while the model is unloaded until the next message, and while it is loaded again for one.
    """
    with admission.changed:
        model, later = admission.model, admission.asleep
        if model is not None:
            return (tuple(model.adapters.added), model.adapters.default) if model.adapters else ((), "")
        if later is None and job is not None and admission.state == "loading":
            later = job.spec, job.options
    if later is None:
        return (), ""
    spec, options = later
    return options.adapter_names, options.names.get(spec.adapter or "", "")


def served(admission: Admission, latest_load: Callable[[], LoadJob | None]) -> tuple[tuple[ModelSpec, tuple[str, ...]], ...]:
    """The model that replies now, or will with the next message, and one that is being loaded, each with the names of its adapters."""
    with admission.changed:
        model, job, found = admission.model, latest_load(), []
        if model is not None or admission.asleep is not None:
            found.append((model.spec if model else admission.asleep[0], adapters_of(admission, job)[0]))    # type: ignore[index]
        if admission.state == "loading" and job is not None and job.spec not in [spec for spec, _ in found]:
            own = (adapter_name(job.spec.adapter),) if job.spec.adapter else ()
            found.append((job.spec, job.options.adapter_names or own))
    return tuple(found)


def status_of(admission: Admission, job: LoadJob | None, hardware: Hardware | None, released: Released | None,
              notices: tuple[str, ...]) -> Status:
    """`hardware`: None while it is not yet detected. `notices`: sentences beside those of the model."""
    model, asleep = admission.model, admission.asleep
    spec = model.spec if model else asleep[0] if asleep else None
    adapters, adapter = adapters_of(admission, job)
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
        reads_pictures=bool(model and model.reads_pictures), calls_tools=bool(model and model.calls_tools),
        task=spec.task if spec else "", adapters=adapters, adapter=adapter,
        notes=(*(model.notes if model else ()), *notices))
