"""A fine-tuning run as the page and programs see it: its state, its curves, what it measured before and after. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..models.memory import Verdict
from .plan import FineTunePlan

# In order: its process is not started yet; it trains; stopped by a person or by a limit of time, and can be resumed; over; failed.
RunState = Literal["preparing", "running", "stopped", "done", "failed"]
# What a run does now. "download": the base model. "prepare": reads and checks the examples. "load": the process starts and loads the model.
Phase = Literal["", "download", "prepare", "unload", "load", "baseline", "train", "evaluate", "save", "restore"]
# The parts of `Estimate.parts`, also the keys of their texts on the page.
PARTS = ("process", "weights", "adapter", "gradients", "optimizer", "activations", "logits")


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """`key`: one of PARTS. "process": Python with its libraries, before any weight is loaded."""

    key: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes, computed before it starts. Bytes, and seconds of its process from its start to its end.

    `free_bytes`: memory that the run may use; with `must_unload`, that of the chat model is among it, which is unloaded first and loaded
    again afterwards. `remedy`: key of a remedy where the verdict is not "fits", "" where none helps: smaller_batch (fewer examples at
    once, the same result), checkpointing (activations are computed twice), qlora, lora, shorter_examples, smaller_model, free_disk.
    `micro_batch`: examples computed at once; several make one batch of the plan. `has_checkpointing`: the run computes activations
    twice to save memory. `tokens`: padded, of one epoch.
    """

    parts: tuple[MemoryPart, ...]
    free_bytes: int
    seconds: float
    disk_bytes: int
    free_disk_bytes: int
    verdict: Verdict
    remedy: str = ""
    must_unload: bool = False
    steps: int = 0
    tokens: int = 0
    parameters: int = 0
    trained_parameters: int = 0
    micro_batch: int = 1
    has_checkpointing: bool = False

    @property
    def needed_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    @property
    def can_start(self) -> bool:
        return self.verdict is not Verdict.TOO_LARGE and self.disk_bytes <= self.free_disk_bytes


@dataclass(frozen=True, slots=True)
class Measured:
    """The same after a run. `peak_bytes`: the most memory its processes held. `seconds`: of training alone.

    `total_s`: of its processes from start to end, with loading and measurements, as `Estimate.seconds`; 0 if it is not known.
    """

    peak_bytes: int = 0
    seconds: float = 0.0
    disk_bytes: int = 0
    total_s: float = 0.0

    def with_earlier(self, earlier: Measured | None) -> Measured:
        """Of several processes of a run. One that was killed has measured nothing."""
        if earlier is None:
            return self
        return Measured(max(self.peak_bytes, earlier.peak_bytes), self.seconds + earlier.seconds, self.disk_bytes or earlier.disk_bytes,
                        self.total_s + earlier.total_s)


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the curves; None where nothing was measured at this step. `metric`: the task's main one, on held-back examples.

    `seconds`: since the process started. `loss`: mean of the steps since the last point.
    """

    step: int
    seconds: float
    loss: float | None = None
    eval_loss: float | None = None
    metric: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One class, or one type of entity. From 0 to 1. `support`: how many there are in the held-back examples."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """A held-back example with a wrong answer. `probability`: that of `predicted`, 0 to 1. `row`: in the file, counted from 1."""

    row: int
    text: str
    expected: str
    predicted: str
    probability: float
    loss: float


@dataclass(frozen=True, slots=True)
class Value:
    """`name`: accuracy, precision, recall, f1, matthews, exact_match, perplexity or loss. Shares from 0 to 1, also exact_match and f1."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a model reaches on the held-back examples. `main`: the value that early stopping and the curve follow.

    `confusion`: for each class expected, how often each class was predicted. `mistakes`: highest loss first.
    """

    main: str
    values: tuple[Value, ...]
    examples: int = 0
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    per_label: tuple[LabelScore, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    def value(self, name: str) -> float | None:
        return next((each.value for each in self.values if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Run:
    """A run at one moment. `step` of `total` optimizer steps. Times in seconds; `created` since the epoch.

    `before`, `after`: on the held-back examples; None without any, and until measured. `checkpoint`: step of the newest one that can be
    resumed from; None without one. `best_step`: whose weights `result` holds. `reason`: why it stopped or failed, a sentence.
    `stop_kind`: how training ended: "finished", "early" (no improvement), "person", "time" (the limit of a public page), "".
    """

    id: str
    name: str
    plan: FineTunePlan
    state: RunState
    created: float
    phase: Phase = ""
    note: str = ""                              # of the phase, for example of a download
    step: int = 0
    total: int = 0
    epoch: float = 0.0
    seconds_left: float | None = None
    points: tuple[Point, ...] = ()
    before: Metrics | None = None
    after: Metrics | None = None
    estimate: Estimate | None = None
    measured: Measured | None = None
    labels: tuple[str, ...] = ()
    num_train: int = 0
    num_validation: int = 0
    digest: str = ""                            # SHA-256 of the data file
    checkpoint: int | None = None
    best_step: int | None = None
    has_result: bool = False                    # a model that can be used, exported and pushed
    stop_kind: str = ""
    reason: str = ""
    is_stopping: bool = False                   # asked to stop, saving
    can_kill: bool = False                      # asked for so long that a second stop ends the process at once
    log: str = ""                               # the newest part of the process's log
    notes: tuple[str, ...] = field(default=())  # what was decided, each a sentence

    @property
    def is_over(self) -> bool:
        return self.state in ("stopped", "done", "failed")

    @property
    def can_resume(self) -> bool:
        return self.state in ("stopped", "failed") and self.stop_kind not in ("finished", "early")

    @property
    def latest(self) -> Point | None:
        return self.points[-1] if self.points else None
