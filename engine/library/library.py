"""The models of this machine, from a name to a loaded model: search, find, estimate, download, load, delete.

Every method takes the visitor who calls it; permissions.py decides what is allowed, and no data of a visitor is kept. Downloads
run as jobs, loads in the engine.
"""

from __future__ import annotations

import json

from ..background import JobProgress, Jobs
from ..chat.conversations import Conversations
from ..checkpoint.files import split_file
from ..errors import EngineBusy, InvalidRequest, ModelNotFound, NoModelLoaded, NoSwapOnZeroGpu, NotPermitted
from ..hub.hub import Hub, HubPage, HubQuery, StoredModel
from ..models.catalog import Recommendation
from ..models.estimate import ModelFit
from ..models.quantization import Quantization
from ..models.saved import SavedModel, all_saved, delete_saved
from ..models.spec import LoadOptions, split_revision
from ..runtime.engine import Engine
from ..runtime.load_job import LoadJob
from ..storage.runs import Job
from .downloads import Downloads
from .estimates import Estimates, Machine
from .finding import Finder
from .found_model import FoundModel
from .operation import Operation
from .permissions import Permissions, Visitor
from .remedies import Remedy
from .remote_models import RemoteModels

RECENT_S = 60.0         # public mode: a model that another visitor used within this time is not replaced


class Library:
    """Safe to use from many threads at once."""

    def __init__(self, engine: Engine, conversations: Conversations | None = None, hub: Hub | None = None) -> None:
        self._engine, self._conversations = engine, conversations
        self.hub = hub or Hub(engine.settings)
        self.jobs = Jobs(engine.database)
        self.permissions = Permissions(engine)
        self.remote, self.operation = RemoteModels(engine, self.permissions), Operation(engine, self.permissions)
        self._estimates = Estimates(engine)
        self._finder = Finder(engine, self.hub, self.permissions)
        self._downloads = Downloads(self.hub, self.jobs, self._finder, self.permissions)

    # --- what this machine can run ---

    def machine(self) -> Machine:
        return self._estimates.machine()

    def recommended(self, context_tokens: int = 4096, visitors: int = 1, *, use: str = "chat",
                    language: str = "") -> tuple[Recommendation, ...]:
        """Return the catalog, sorted by how well the models suit this machine, a use (chat, code, reasoning) and a language ("": any)."""
        return self._estimates.recommended(context_tokens, visitors, use, language)

    def fit(self, model: FoundModel, context_tokens: int, visitors: int, device: str = "") -> ModelFit | None:
        """Return memory and speed in each quantization; None if the model's shape is not known. `device`: "" for the engine's own."""
        return self._estimates.fit(model, context_tokens, visitors, device)

    def remedies(self, error: BaseException | None, model: FoundModel, quantization: Quantization, context_tokens: int,
                 visitors: int, device: str = "") -> tuple[Remedy, ...]:
        """Return the remedies for `error`; without an error, those for a model that is too large."""
        return self._estimates.remedies(error, model, quantization, context_tokens, visitors, device)

    # --- finding ---

    def search(self, query: HubQuery, visitor: Visitor) -> HubPage:
        """Search the hub. Raises InvalidRequest, HubUnreachable (also as HubOffline and RateLimited) and TokenRejected."""
        return self.hub.search(query, self.permissions.hub_token(visitor))

    def find(self, typed: str, visitor: Visitor, revision: str | None = None) -> FoundModel:
        """Find a model by repository name, address, folder or "builtin". If the hub fails, return what is known without it.

        Raises InvalidRequest, ModelNotFound, UnsupportedModel (a folder without safetensors), and HubUnreachable if nothing is known.
        """
        return self._finder.find(typed, visitor, revision)

    def refreshed(self, model: FoundModel) -> FoundModel:
        """Return the same model as it is after a download or a deletion."""
        return self._finder.refreshed(model)

    # --- downloads and other jobs ---

    def download(self, model: FoundModel, visitor: Visitor) -> Job:
        """Start or resume a download. Raises NotPermitted, EngineBusy, StorageError, and the hub's error for this model."""
        return self._downloads.start(model, visitor)

    def resume(self, job_id: int, visitor: Visitor) -> Job:
        """Resume a download that was cancelled, interrupted or failed. Raises JobNotFound and what `download` raises."""
        return self._downloads.resume(job_id, visitor)

    def visible_jobs(self, visitor: Visitor) -> tuple[Job, ...]:
        """Return the jobs, newest first; on a public page visitors see only their own."""
        return self._downloads.visible_jobs(visitor)

    def cancel(self, job_id: int, visitor: Visitor) -> None:
        """Cancel a job. Raises JobNotFound, also for another visitor's job on a public page."""
        self._downloads.own_job(job_id, visitor)
        self.jobs.cancel(job_id)

    def hide(self, job_id: int, visitor: Visitor) -> None:
        """Remove a finished job from the list. Raises JobNotFound and InvalidRequest."""
        self._downloads.own_job(job_id, visitor)
        self.jobs.forget(job_id)

    # --- loading ---

    def load(self, model: FoundModel, quantization: Quantization, options: LoadOptions, visitor: Visitor) -> LoadJob:
        """Swap to a model that is on disk. Raises NotPermitted, EngineBusy, InvalidRequest."""
        if self._engine.settings.is_zero_gpu:
            raise NoSwapOnZeroGpu
        self.permissions.require_model(model, visitor)
        if not self.refreshed(model).can_load_as(quantization):      # another page may have deleted it
            raise InvalidRequest("model", model.source, "downloaded before it is loaded")
        spec, current = model.spec(quantization), self._engine.spec
        if spec.adapter is None or current is None or spec.base != current.base:        # an adapter of the loaded base replaces nothing
            self._require_unused(visitor)
        return self._engine.start_loading(spec, options)

    def remove_adapter(self, name: str, visitor: Visitor) -> None:
        """Replies that use it end. Raises NotPermitted, InvalidRequest, NoModelLoaded, EngineBusy and NotOnThisMachine."""
        self.permissions.require_operator(visitor, "remove an adapter")
        self._engine.remove_adapter(name)

    def unload(self, visitor: Visitor) -> None:
        """Unload the model. Raises NotPermitted and EngineBusy."""
        self.permissions.require_operator(visitor, "unload the model")
        self._engine.unload()

    def save_quantized(self, visitor: Visitor) -> Job:
        """Save the loaded model in its quantized form. Raises NotPermitted, NoModelLoaded, EngineBusy, StorageError."""
        self.permissions.require_operator(visitor, "write to its disk")
        spec = self._engine.spec
        if spec is None:
            raise NoModelLoaded()

        def work(progress: JobProgress) -> str:
            saved = self._engine.save_quantized()
            return json.dumps({"bytes": saved.size_bytes})
        return self.jobs.start("save", spec.name, work, visitor.owner)

    # --- disk ---

    def on_disk(self) -> tuple[StoredModel, ...]:
        return self.hub.on_disk()

    def saved(self) -> tuple[SavedModel, ...]:
        return all_saved(self._engine.settings)

    def is_in_use(self, model: str) -> bool:
        """Whether the model is loaded, or only unloaded until the next message."""
        current = self._engine.current
        if current is None:
            return False
        spec, options = current
        adapters = [split_revision(each)[0] for each in (*options.adapters, spec.adapter or "")]
        return model in (spec.model, split_file(spec.model)[0], *adapters)

    def delete(self, repo: str, visitor: Visitor) -> int:
        """Delete a model and return the bytes freed. Raises NotPermitted, EngineBusy for a model in use, ModelNotFound."""
        self._require_deletable(repo, visitor)
        return self.hub.delete(repo)

    def delete_saved(self, model: str, quantization: Quantization, visitor: Visitor) -> int:
        """Delete saved quantized weights, as `delete` does with a model."""
        self._require_deletable(model, visitor)
        matches = [saved for saved in self.saved() if (saved.model, saved.quantization) == (model, quantization)]
        if not matches:
            raise ModelNotFound(model, "the saved models")
        return sum(delete_saved(saved) for saved in matches)

    def _require_deletable(self, model: str, visitor: Visitor) -> None:
        self.permissions.require_operator(visitor, "delete models")
        if self._engine.status().state == "loading":        # its files are needed, and those of the previous model if the load fails
            raise EngineBusy("a model is loading")
        if self.is_in_use(model):
            raise EngineBusy(f"{model} is loaded", "Load another model first.")
        if self.jobs.is_running("download", model):
            raise EngineBusy(f"{model} is being downloaded", "Cancel its download first.")

    def _require_unused(self, visitor: Visitor) -> None:
        """On a public page, refuse to replace a model that others are using. Raises NotPermitted."""
        if self.permissions.is_operator(visitor):
            return
        others = self._conversations.others_active(visitor.owner, RECENT_S) if self._conversations else 0
        if others or self._engine.status().running:
            raise NotPermitted("Someone is using the loaded model. Try again in a minute.")
