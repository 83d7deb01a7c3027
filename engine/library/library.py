"""Everything between "I have this computer" and "it answers": what suits it, what the hub has, what is on disk, who may do what.

Long work goes through jobs; loading through the engine. Nothing of a visitor is kept: who asks comes with every call.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..background import JobProgress, Jobs, JobStopped
from ..chat.conversations import Conversations
from ..checkpoint.config import read_config
from ..checkpoint.shape import read_shape
from ..errors import (
    DownloadStopped,
    EngineBusy,
    EngineError,
    HubUnreachable,
    InvalidRequest,
    JobNotFound,
    LoadError,
    ModelAccessDenied,
    ModelNotFound,
    NoModelLoaded,
    NotPermitted,
    UnsupportedModel,
)
from ..hardware import Hardware, detect
from ..hub.hub import DownloadProgress, Hub, HubListing, HubPage, HubQuery, StoredModel
from ..models.bandwidth import copy_bandwidth
from ..models.catalog import Recommendation, catalog, entry_of, recommend
from ..models.estimate import ModelFit, estimate_shape, measured_peaks
from ..models.quantization import Quantization
from ..models.resolve import LocalModel, resolve
from ..models.saved import SavedModel, all_saved, delete_saved, find_saved
from ..models.spec import LoadOptions, ModelSpec
from ..runtime.engine import Engine
from ..runtime.load_job import LoadJob
from ..settings import BUILTIN, Secret
from ..storage.runs import Job
from .found import FoundModel, Machine, Visitor, Where
from .remedies import Remedy, remedies, too_large

SHOWN_JOBS, MOST_JOBS = 20, 200     # most of the newest may be of others
RECENT_S = 60.0         # public mode: a model that somebody else used so recently is not swapped away


class Library:
    """Safe to use from many threads at once."""

    def __init__(self, engine: Engine, conversations: Conversations | None = None, hub: Hub | None = None) -> None:
        self._engine, self._conversations = engine, conversations
        self._hub = hub or Hub(engine.settings)
        self.jobs = Jobs(engine.database)

    # --- looking ---

    def machine(self) -> Machine:
        hardware = self._engine.hardware
        return Machine(hardware.name, hardware.kind, hardware.total_bytes, self._free_bytes(hardware), copy_bandwidth(hardware),
                       self._engine.quantization_choices(), (hardware.kind,) if hardware.kind == "cpu" else (hardware.kind, "cpu"))

    def recommended(self, context_tokens: int = 4096, visitors: int = 1) -> tuple[Recommendation, ...]:
        """The catalog, what suits this machine best first."""
        supported = [choice.quantization for choice in self._engine.quantization_choices() if choice.is_supported]
        hardware = self._engine.hardware
        return recommend(hardware, self._free_bytes(hardware), context_tokens=context_tokens, concurrent=visitors, supported=supported)

    def search(self, query: HubQuery, visitor: Visitor) -> HubPage:
        """Raises InvalidRequest, HubUnreachable (also as HubOffline and RateLimited) and TokenRejected."""
        return self._hub.search(query, self._token(visitor))

    def find(self, typed: str, visitor: Visitor, revision: str | None = None) -> FoundModel:
        """A model by repository name, address, folder, or "builtin". A hub that says nothing leaves what is known without it.

        Raises InvalidRequest, ModelNotFound, UnsupportedModel (a folder without safetensors), and HubUnreachable where nothing is known.
        """
        place = resolve(typed, is_public=self._engine.settings.is_public)
        if isinstance(place, LocalModel):
            return self._in_folder(place.name, place.folder, "builtin" if place.name == BUILTIN else "folder")
        return self._on_hub(place.name, revision, visitor)

    def fit(self, model: FoundModel, context_tokens: int, visitors: int, device: str = "") -> ModelFit | None:
        """What it takes in each quantization; None where its shape is not known. `device`: "" for the engine's own."""
        if model.shape is None:
            return None
        hardware = self._hardware(device)
        return estimate_shape(model.shape, hardware, context_tokens=context_tokens, visitors=visitors,
                              free_bytes=self._free_bytes(hardware), model=model.spec_model,
                              measured=measured_peaks(model.spec_model, self._engine.settings, hardware))

    def _hardware(self, device: str) -> Hardware:
        own = self._engine.hardware
        return own if device in ("", "auto", own.kind) else detect(device)

    def _free_bytes(self, hardware: Hardware) -> int:
        """What a new model could take once the loaded one is gone."""
        return hardware.free_bytes() + (self._engine.held_bytes if hardware.kind == self._engine.hardware.kind else 0)

    def _in_folder(self, name: str, folder: Path, where: Where) -> FoundModel:
        return FoundModel(name, where, shape=read_shape(folder, read_config(folder, name), name), is_on_disk=True)

    def _on_hub(self, repo: str, revision: str | None, visitor: Visitor) -> FoundModel:
        entry = entry_of(repo)
        stored = next((each for each in self._hub.on_disk() if each.repo == repo), None)
        try:
            listing = self._hub.describe(repo, revision, self._token(visitor))
        except LoadError as error:      # also of a repository that was deleted or made private since it was downloaded
            if stored is not None and stored.path is not None and stored.is_complete:
                known = self._in_folder(repo, stored.path, "disk")
                return replace(known, revision=stored.sha, entry=entry, problem=error)
            kept = next((each for each in self.saved() if each.model == repo), None)
            if kept is not None:
                return self.refreshed(FoundModel(repo, "disk", kept.source, kept.shape, entry=entry, problem=error))
            if isinstance(error, ModelAccessDenied) or (entry is not None and isinstance(error, HubUnreachable)):
                return FoundModel(repo, "catalog", shape=entry.shape if entry else None, entry=entry, problem=error)
            raise
        problem: EngineError | None = UnsupportedModel(listing.repo, listing.obstacle) if listing.obstacle else None
        if not listing.gated_access:
            problem = ModelAccessDenied(listing.repo, listing.licence_url, has_token=bool(self._token(visitor)))
        shape = listing.shape or (entry.shape if entry else None)
        found = FoundModel(listing.repo, "hub", listing.sha, shape, listing, entry, problem=problem)
        return self.refreshed(found)

    def refreshed(self, model: FoundModel) -> FoundModel:
        """The same model after something was downloaded or deleted."""
        if model.where in ("builtin", "folder", "catalog"):
            return model
        is_here = self._hub.stored(model.spec_model, model.revision) is not None
        partial = 0 if is_here or model.listing is None else self._partial_bytes(model.listing)
        saved = frozenset(each for each in Quantization if find_saved(model.spec(each), self._engine.settings))
        return replace(model, where="disk" if is_here or saved else "hub", is_on_disk=is_here, partial_bytes=partial, saved=saved)

    def _partial_bytes(self, listing: HubListing) -> int:
        """Of an unfinished download, or of files that an older revision has in common with this one."""
        stored = next((each for each in self._hub.on_disk() if each.repo == listing.repo), None)
        if stored is None or stored.path is None or not stored.is_complete:
            return stored.size_bytes if stored else 0
        return sum(file.size_bytes for file in listing.needed_files if (stored.path / file.path).resolve().name == file.etag)

    def remedies(self, error: BaseException | None, model: FoundModel, quantization: Quantization, context_tokens: int,
                 visitors: int, device: str = "") -> tuple[Remedy, ...]:
        """What may help after `error`; without one, what may help a model that is too large."""
        fit, is_public = self.fit(model, context_tokens, visitors, device), self._engine.settings.is_public
        other = model.listing.safetensors_revision if model.listing else None
        if error is not None:
            found = remedies(error, model.spec_model, quantization, fit, is_public=is_public, other_revision=other)
        else:
            found = too_large(model.spec_model, quantization, fit, is_public=is_public) if fit else ()
        return tuple(remedy for remedy in found if remedy.kind != "force" or model.can_load_as(quantization))

    # --- downloading ---

    def download(self, model: FoundModel, visitor: Visitor) -> Job:
        """Begin a download, or go on with one. Raises NotPermitted, EngineBusy, StorageError, and why the hub says nothing of it."""
        self._require_allowed(model.spec_model, visitor)
        if model.listing is None:       # nobody knows whether it is gated
            raise model.problem or InvalidRequest("model", model.spec_model, "one of the hub's to be downloaded")
        if self._is_stranger(visitor) and model.listing.is_gated:
            raise NotPermitted(f"{model.spec_model} is gated: on this public page only its operator can download it.")
        repo, revision = model.spec_model, model.revision
        facts = json.dumps({"repo": repo, "revision": revision})
        job = self.jobs.start("download", repo, self._download(repo, revision, self._token(visitor)), visitor.owner, facts)
        if not self._may_see(job, visitor):
            raise EngineBusy(f"somebody else downloads {repo}", "It can be loaded here once that is done.")
        return job

    def resume(self, job_id: int, visitor: Visitor) -> Job:
        """Go on with a download that was cancelled, interrupted or failed. Raises JobNotFound and what `download` raises."""
        job, facts = self._own_job(job_id, visitor), json.loads(self.jobs.facts(job_id) or "{}")
        if job.kind != "download" or not facts.get("repo"):
            raise InvalidRequest("job", job_id, "a download")
        return self.download(self.find(facts["repo"], visitor, facts.get("revision")), visitor)

    def visible_jobs(self, visitor: Visitor) -> tuple[Job, ...]:
        """Newest first; on a public page everybody sees their own."""
        found = self.jobs.list(limit=MOST_JOBS if self._is_stranger(visitor) else SHOWN_JOBS)
        return tuple(job for job in found if self._may_see(job, visitor))[:SHOWN_JOBS]

    def cancel(self, job_id: int, visitor: Visitor) -> None:
        """Raises JobNotFound, also for somebody else's on a public page."""
        self._own_job(job_id, visitor)
        self.jobs.cancel(job_id)

    def hide(self, job_id: int, visitor: Visitor) -> None:
        """Take a job that is over out of the list. Raises JobNotFound and InvalidRequest."""
        self._own_job(job_id, visitor)
        self.jobs.forget(job_id)

    def _own_job(self, job_id: int, visitor: Visitor) -> Job:
        job = self.jobs.get(job_id)
        if not self._may_see(job, visitor):
            raise JobNotFound(job_id)
        return job

    def _may_see(self, job: Job, visitor: Visitor) -> bool:
        return job.owner == visitor.owner or not self._is_stranger(visitor)

    def _download(self, repo: str, revision: str | None, token: Secret | None) -> Callable[[JobProgress], str]:
        def work(progress: JobProgress) -> str:
            def tell(now: DownloadProgress) -> None:
                progress.report(now.done_bytes, now.total_bytes, "bytes", _pace(now))

            try:
                folder = self._hub.download(repo, revision, tell, progress.stop, token)
            except DownloadStopped as error:
                raise JobStopped from error
            return json.dumps({"sha": folder.name})
        return work

    # --- loading ---

    def load(self, model: FoundModel, quantization: Quantization, options: LoadOptions, visitor: Visitor) -> LoadJob:
        """Swap to a model that is on disk. Raises NotPermitted, EngineBusy, InvalidRequest."""
        self._require_allowed(model.spec_model, visitor)
        if not self.refreshed(model).can_load_as(quantization):      # it may have been deleted on another page
            raise InvalidRequest("model", model.spec_model, "downloaded before it is loaded")
        self._require_unused(visitor)
        return self._engine.start_loading(model.spec(quantization), options)

    def unload(self, visitor: Visitor) -> None:
        """Raises NotPermitted and EngineBusy."""
        if self._is_stranger(visitor):
            raise NotPermitted("On this public page only its operator can unload the model.")
        self._engine.unload()

    def save_quantized(self, visitor: Visitor) -> Job:
        """Keep the loaded model in its quantized form. Raises NotPermitted, NoModelLoaded, EngineBusy, StorageError."""
        if self._is_stranger(visitor):
            raise NotPermitted("On this public page only its operator can write to its disk.")

        spec = self._engine.spec
        if spec is None:
            raise NoModelLoaded()

        def work(progress: JobProgress) -> str:
            saved = self._engine.save_quantized()
            return json.dumps({"bytes": saved.size_bytes})
        return self.jobs.start("save", spec.name, work, visitor.owner)

    # --- disk ---

    def on_disk(self) -> tuple[StoredModel, ...]:
        return self._hub.on_disk()

    def saved(self) -> tuple[SavedModel, ...]:
        return all_saved(self._engine.settings)

    def may_delete(self, visitor: Visitor) -> bool:
        return not self._is_stranger(visitor)

    def is_in_use(self, model: str) -> bool:
        """Whether it is loaded, or asleep: the next message would load it again."""
        spec, status = self._engine.spec, self._engine.status()
        return spec.model == model if spec else status.state == "asleep" and ModelSpec(model).name == status.model

    def delete(self, repo: str, visitor: Visitor) -> int:
        """Bytes that came back. Raises NotPermitted, EngineBusy for a model in use, ModelNotFound."""
        self._require_deletable(repo, visitor)
        return self._hub.delete(repo)

    def delete_saved(self, model: str, quantization: Quantization, visitor: Visitor) -> int:
        """As `delete`, for quantized weights."""
        self._require_deletable(model, visitor)
        found = [saved for saved in self.saved() if (saved.model, saved.quantization) == (model, quantization)]
        if not found:
            raise ModelNotFound(model, "the saved models")
        return sum(delete_saved(saved) for saved in found)

    def _require_deletable(self, model: str, visitor: Visitor) -> None:
        if self._is_stranger(visitor):
            raise NotPermitted("On this public page only its operator can delete models.")
        if self._engine.status().state == "loading":        # what is loading needs its files, and so does what comes back if it fails
            raise EngineBusy("a model is loading")
        if self.is_in_use(model):
            raise EngineBusy(f"{model} is loaded", "Load another model first.")
        if self.jobs.is_running("download", model):
            raise EngineBusy(f"{model} is being downloaded", "Cancel its download first.")

    # --- who may ---

    def _is_stranger(self, visitor: Visitor) -> bool:
        settings = self._engine.settings
        return settings.is_public and not (settings.operator and visitor.name == settings.operator)

    def _token(self, visitor: Visitor) -> Secret | None:
        """What this visitor typed, else the operator's own for the operator. A visitor's token never serves another."""
        return visitor.token or (None if self._is_stranger(visitor) else self._engine.settings.hf_token or None)

    def _require_allowed(self, model: str, visitor: Visitor) -> None:
        """Public mode: the catalog and what the operator allowed."""
        known = (BUILTIN, *(entry.repo for entry in catalog()), *self._engine.settings.allowed_models)
        if self._is_stranger(visitor) and model not in known:
            raise NotPermitted(f"{model} is not one of the models that this public page offers. Choose one of those, "
                               "or run MindCubes on your own machine.")

    def _require_unused(self, visitor: Visitor) -> None:
        """Public mode: a model is not swapped away under somebody's hands."""
        if not self._is_stranger(visitor):
            return
        others = self._conversations.others_active(visitor.owner, RECENT_S) if self._conversations else 0
        if others or self._engine.status().running:
            raise NotPermitted("Somebody is using the loaded model. Try again in a minute.")


def _pace(now: DownloadProgress) -> str:
    """Speed and time left, as data for whoever shows it."""
    return json.dumps({"file": now.file, "speed": round(now.bytes_per_second), "left_s": now.seconds_left and round(now.seconds_left, 1)})

