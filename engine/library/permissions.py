"""Permissions. On a private page everyone may do everything. These rules apply on a public page, and to accounts other than the operator's.

Every visitor may search, estimate, and download and load the models that the page offers. Only the operator may load others,
download gated models, unload, delete, write to the disk and measure. A job is visible to the visitor who started it and to the operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..checkpoint.files import split_file
from ..errors import JobNotFound, NoMeasuringOnZeroGpu, NotOnZeroGpu, NotPermitted
from ..models.catalog import catalog
from ..pipelines import task_catalog
from ..public_mode import KEPT_RUNS, TRAINING_EXAMPLES, TRAINING_S
from ..settings import BUILTIN, Secret, Settings
from ..storage.runs import Job

if TYPE_CHECKING:
    from ..runtime.engine import Engine
    from .found_model import FoundModel

MAX_RUNS = 50           # of fine-tuning, kept of one owner


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who makes a request. `token`: the hub token that this visitor typed, never used for others. `name`: of a signed-in account, or ""."""

    owner: str = ""
    token: Secret = field(default_factory=lambda: Secret(""))
    name: str = ""
OWN_JOBS = ("knowledge",)        # kinds of jobs that only their owner sees: their titles are names that a person gave


class Permissions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def _settings(self) -> Settings:
        return self._engine.settings

    def is_operator(self, visitor: Visitor) -> bool:
        """Whether this visitor may do everything: on a public page, and where accounts are used, the one that the settings name.

        On a public page without a name nobody may, on a private one everybody.
        """
        settings = self._settings
        if settings.is_public or (settings.operator and self._engine.accounts.are_used):
            return bool(settings.operator and visitor.name == settings.operator)
        return True

    def require_operator(self, visitor: Visitor, action: str) -> None:
        """Refuse all but the operator. `action` completes the error's sentence: "unload the model". Raises NotPermitted."""
        if not self.is_operator(visitor):
            raise NotPermitted(f"On this page only the operator can {action}.")

    def require_measuring(self, visitor: Visitor) -> None:
        """Refuse measurements on ZeroGPU, and by visitors of a public page other than the operator. Raises NotPermitted."""
        if self._settings.is_zero_gpu:
            raise NoMeasuringOnZeroGpu
        self.require_operator(visitor, "run measurements, because everyone else has to wait for them")

    def training_refusal(self, visitor: Visitor) -> str:
        """Why this visitor cannot fine-tune here, or ""."""
        try:
            self.require_training(visitor)
        except NotPermitted as error:
            return str(error)
        return ""

    def require_training(self, visitor: Visitor) -> None:
        """Refuse to fine-tune on ZeroGPU, and visitors of a public page without a name. Raises NotPermitted."""
        if self._settings.is_zero_gpu:
            raise NotOnZeroGpu("be trained, which takes longer than a GPU is lent: download the script instead")
        if not self.is_operator(visitor) and not visitor.name:
            raise NotPermitted("Sign in to fine-tune a model on this public page.")

    def require_examples(self, count: int, visitor: Visitor) -> None:
        """Refuse more examples than visitors of a public page may train with. Raises NotPermitted."""
        if count > TRAINING_EXAMPLES and self._is_limited(visitor):
            raise NotPermitted(f"There are {count:,} examples, and at most {TRAINING_EXAMPLES:,} can be trained on this public page. "
                               "Take a part of them, or run MindCubes on your own machine.")

    def training_limit_s(self, visitor: Visitor) -> float:
        """Longest time of a fine-tuning run; 0: none."""
        return TRAINING_S if self._is_limited(visitor) else 0.0

    def kept_runs(self, visitor: Visitor) -> int:
        """How many fine-tuning runs of a visitor are kept; the oldest are deleted first."""
        return KEPT_RUNS if self._is_limited(visitor) else MAX_RUNS

    def _is_limited(self, visitor: Visitor) -> bool:
        return self._settings.is_public and not self.is_operator(visitor)

    def require_offered(self, model: str, visitor: Visitor) -> None:
        """Refuse downloads and loads of models other than the built-in one, the catalog, and those that the operator allowed.

        Raises NotPermitted.
        """
        offered = (BUILTIN, *(entry.repo for entry in catalog()), *(task.repo for task in task_catalog()), *self._settings.allowed_models)
        if not self.is_operator(visitor) and split_file(model)[0] not in offered:
            raise NotPermitted(f"{model} is not among the models that this public page offers. Choose one of those, "
                               "or run MindCubes on your own machine.")

    def require_model(self, model: FoundModel, visitor: Visitor) -> None:
        """The same for a model and its adapter. Raises NotPermitted."""
        for name in dict.fromkeys((model.source, model.spec_model)):
            self.require_offered(name, visitor)

    def require_open(self, model: str, visitor: Visitor, *, is_gated: bool) -> None:
        """Refuse downloads of gated models, which would be stored for visitors who have no access to them. Raises NotPermitted."""
        if is_gated and not self.is_operator(visitor):
            raise NotPermitted(f"{model} is gated: on this public page only the operator can download it.")

    def may_see(self, job: Job, visitor: Visitor) -> bool:
        return job.owner == visitor.owner or (self.is_operator(visitor) and job.kind not in OWN_JOBS)

    def require_own(self, job: Job, visitor: Visitor) -> Job:
        """Return the job. Raises JobNotFound for another visitor's job, as if it did not exist."""
        if not self.may_see(job, visitor):
            raise JobNotFound(job.id)
        return job

    def hub_token(self, visitor: Visitor) -> Secret | None:
        """Return the visitor's own token; without one, the server's token for the operator, and None for all others."""
        return visitor.token or (self._settings.hf_token or None if self.is_operator(visitor) else None)
