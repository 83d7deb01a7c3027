"""One run: the measurements of one model in one configuration, and their conditions."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from ...checkpoint.files import split_file
from ...errors import InvalidRequest
from ...models.quantization import Quantization
from ...models.resolve import may_be_repo
from ...models.spec import ModelSpec
from ...settings import BUILTIN
from ...storage import strict
from ...storage.formats import Value
from ...storage.results import ResultRow
from ..measure.limits import LimitShare
from ..measure.load import ConcurrencyResult
from ..measure.machine import Environment, environment
from ..measure.speed import Speed
from .scores import Score

if TYPE_CHECKING:
    from ...hardware import Hardware
    from ...runtime.active_model import ActiveModel
    from ...runtime.serving_model import ServingModel

RunKind = Literal["speed", "quality"]
MAX_TEXT_CHARS = 100_000        # the longest text is a model's answer
VERSION = 1
LAST_SECOND = 2**32     # the year 2106


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """`revision`: the commit, empty for a folder. `window_tokens` of one reply, `cache_tokens` reserved for all together.

    `quantization`: of the weights in memory. `stored`: how the repository stores them, if they are quantized there.
    """

    model: str
    revision: str
    parameters: int
    weight_bytes: int
    dtype: str
    quantization: Quantization
    attention: str
    lane: str
    window_tokens: int
    cache_tokens: int
    stored: str = ""


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """`at`: seconds since the epoch. `load_s`, `load_peak_bytes`: of the model's latest load, None where unknown.

    `origin`: empty for a run of this machine, otherwise the name of the import.
    """

    uid: str
    at: float
    environment: Environment
    model: ModelFacts
    load_s: float | None = None
    load_peak_bytes: int | None = None
    speed: Speed | None = None
    share: LimitShare | None = None
    crowds: tuple[ConcurrencyResult, ...] = ()
    scores: tuple[Score, ...] = ()
    sweep: str = ""
    cell: str = ""
    origin: str = ""

    @property
    def kind(self) -> RunKind:
        return "quality" if self.scores and self.speed is None and not self.crowds else "speed"

    @property
    def machine(self) -> str:
        """What the model ran on, by name."""
        return self.environment.gpu or self.environment.cpu


def new_uid() -> str:
    return uuid.uuid4().hex


def now() -> float:
    return round(time.time(), 3)


def facts_of(model: ServingModel) -> ModelFacts:
    from ...runtime.remote_model import RemoteModel

    if isinstance(model, RemoteModel):      # nothing else is known
        return ModelFacts(model.connection.model, "", 0, 0, "", model.spec.quantization, "", model.lane, model.window_tokens, 0)
    active_model = cast("ActiveModel", model)
    candidate = active_model.candidate
    return ModelFacts(
        public_name(candidate.spec), candidate.sha or "", candidate.shape.parameters, active_model.weight_bytes, candidate.dtype,
        candidate.held, active_model.attention, active_model.lane, active_model.window_tokens,
        candidate.budget.total_tokens, candidate.shape.stored_method)


def environment_of(model: ServingModel, hardware: Hardware) -> Environment:
    """For a model on another server the name of its connection takes the place of the GPU: exports must not reveal addresses."""
    here = environment(hardware)
    return replace(here, device=model.lane, gpu=model.spec.name) if model.spec.is_remote else here


def public_name(spec: ModelSpec) -> str:
    """Return the name to record; for a folder only the last part, since exports must not reveal paths of this machine."""
    return spec.model if spec.model == BUILTIN or may_be_repo(split_file(spec.model)[0]) else spec.name


def row_of(run: BenchmarkRun) -> ResultRow:
    return ResultRow(run.uid, run.at, run.kind, run.model.model, run.model.quantization, run.machine, run.origin, run.sweep, run.cell,
                     json.dumps(as_dict(run)))


def of_row(row: ResultRow) -> BenchmarkRun:
    return run_of(Value(json.loads(row.content), f"run {row.uid}"))


def as_dict(run: BenchmarkRun) -> dict[str, object]:
    return {"version": VERSION, **asdict(run)}


def run_of(value: Value) -> BenchmarkRun:
    """Return a run from its JSON. Raises InvalidRequest, which names the invalid member."""
    version = value.get("version")
    if version.value != VERSION:
        raise version.wrong(f"{VERSION}: a newer MindCubes may have made this file")
    run = strict.read(BenchmarkRun, value.value, value.name, MAX_TEXT_CHARS)
    if not run.uid or len(run.uid) > 64 or not run.uid.isalnum():
        raise InvalidRequest(f"uid of {value.name}", run.uid[:64], "up to 64 letters and digits")
    if not 0 <= run.at < LAST_SECOND:
        raise InvalidRequest(f"at of {value.name}", run.at, "seconds since 1970")
    return run
