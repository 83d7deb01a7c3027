"""Downloads as jobs: they continue while no page is open, and can be cancelled and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

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
        self._permissions.require_model(model, visitor)
        if not model.listings:       # so it is not known whether the model is gated
            raise model.problem or InvalidRequest("model", model.source, "one of the hub's to be downloaded")
        for listing in model.listings:
            self._permissions.require_open(listing.name, visitor, is_gated=listing.is_gated)
        wanted = [(listing.name, model.revision if listing is model.listing else None, listing.needed_bytes) for listing in model.listings]
        facts = json.dumps({"repo": model.source, "revision": None if model.adapter else model.revision})
        work = self._work(wanted, self._permissions.hub_token(visitor))
        job = self._jobs.start("download", model.source, work, visitor.owner, facts)
        if not self._permissions.may_see(job, visitor):
            raise EngineBusy(f"someone else is downloading {model.source}", "You can load it when that has finished.")
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

    def _work(self, wanted: list[tuple[str, str | None, int]], token: Secret | None) -> Callable[[JobProgress], str]:
        """`wanted`: names, revisions and sizes, downloaded one after the other."""
        def work(progress: JobProgress) -> str:
            before, total, folder = 0, sum(size for _, _, size in wanted), Path()

            def on_progress(now: DownloadProgress) -> None:
                progress.report(before + now.done_bytes, max(total, before + now.total_bytes), "bytes", _note(now))

            try:
                for repo, revision, size in wanted:
                    folder = self._hub.download(repo, revision, on_progress, progress.stop, token)
                    before += size
            except DownloadStopped as error:
                raise JobStopped from error
            return json.dumps({"sha": folder.name})
        return work


def _note(now: DownloadProgress) -> str:
    """Return speed and time left as data, from which the page makes a sentence."""
    return json.dumps({"file": now.file, "speed": round(now.bytes_per_second), "left_s": now.seconds_left and round(now.seconds_left, 1)})
