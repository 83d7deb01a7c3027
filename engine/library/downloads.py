"""Downloads as jobs: they continue while no page is open, and can be cancelled and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable

from ..background import JobProgress, Jobs, JobStopped
from ..errors import DownloadStopped, EngineBusy, InvalidRequest
from ..hub.hub import DownloadProgress, Hub
from ..settings import Secret
from ..storage.runs import Job
from .finding import Finder
from .found_model import FoundModel
from .permissions import Permissions, Visitor

SHOWN_JOBS, MOST_JOBS = 20, 200     # most of the newest 200 may belong to other visitors


class Downloads:
    def __init__(self, hub: Hub, jobs: Jobs, finder: Finder, permissions: Permissions) -> None:
        self._hub, self._jobs, self._finder, self._permissions = hub, jobs, finder, permissions

    def start(self, model: FoundModel, visitor: Visitor) -> Job:
        self._permissions.require_offered(model.spec_model, visitor)
        if model.listing is None:       # so it is not known whether the model is gated
            raise model.problem or InvalidRequest("model", model.spec_model, "one of the hub's to be downloaded")
        self._permissions.require_open(model.spec_model, visitor, is_gated=model.listing.is_gated)
        repo, revision = model.spec_model, model.revision
        facts = json.dumps({"repo": repo, "revision": revision})
        job = self._jobs.start("download", repo, self._work(repo, revision, self._permissions.hub_token(visitor)), visitor.owner, facts)
        if not self._permissions.may_see(job, visitor):
            raise EngineBusy(f"someone else is downloading {repo}", "You can load it when that has finished.")
        return job

    def resume(self, job_id: int, visitor: Visitor) -> Job:
        job = self.own_job(job_id, visitor)
        facts = json.loads(job.facts or "{}")
        if job.kind != "download" or not facts.get("repo"):
            raise InvalidRequest("job", job_id, "a download")
        return self.start(self._finder.find(facts["repo"], visitor, facts.get("revision")), visitor)

    def visible_jobs(self, visitor: Visitor) -> tuple[Job, ...]:
        jobs = self._jobs.list(limit=SHOWN_JOBS if self._permissions.is_operator(visitor) else MOST_JOBS)
        return tuple(job for job in jobs if self._permissions.may_see(job, visitor))[:SHOWN_JOBS]

    def own_job(self, job_id: int, visitor: Visitor) -> Job:
        return self._permissions.require_own(self._jobs.get(job_id), visitor)

    def _work(self, repo: str, revision: str | None, token: Secret | None) -> Callable[[JobProgress], str]:
        def work(progress: JobProgress) -> str:
            def on_progress(now: DownloadProgress) -> None:
                progress.report(now.done_bytes, now.total_bytes, "bytes", _note(now))

            try:
                folder = self._hub.download(repo, revision, on_progress, progress.stop, token)
            except DownloadStopped as error:
                raise JobStopped from error
            return json.dumps({"sha": folder.name})
        return work


def _note(now: DownloadProgress) -> str:
    """Return speed and time left as data, from which the page makes a sentence."""
    return json.dumps({"file": now.file, "speed": round(now.bytes_per_second), "left_s": now.seconds_left and round(now.seconds_left, 1)})
