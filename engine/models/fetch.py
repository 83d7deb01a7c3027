"""Finds the files of a model or adapter on this machine, and downloads those that are missing."""

from __future__ import annotations

import threading
from pathlib import Path

from ..errors import HubUnreachable, InvalidRequest, ModelNotFound
from ..hub.hub import DownloadProgress, Hub
from ..settings import Settings
from .resolve import LocalModel, resolve
from .spec import LoadEvent, ModelSpec, Report


def find(spec: ModelSpec, settings: Settings, report: Report) -> tuple[Path, str | None]:
    """Return the model's folder, and its commit if it comes from the hub. Downloads files that are not yet on this disk.

    Raises InvalidRequest, UnsupportedModel, DiskFull and the errors of the hub: ModelNotFound, ModelAccessDenied, TokenRejected,
    HubUnreachable, DownloadBroken.
    """
    try:
        place = resolve(spec.model, settings)
    except InvalidRequest as error:
        raise ModelNotFound(spec.model, "the hub" if settings.is_public else "this machine") from error
    if isinstance(place, LocalModel):
        return place.folder, None
    report(LoadEvent("download", note=f"Looking for {place.name} on the hub"))
    return download(place.name, spec.revision, settings, report)


def download(repo: str, revision: str | None, settings: Settings, report: Report) -> tuple[Path, str | None]:
    """The same for a name on the hub."""
    hub = Hub(settings)
    pinned = hub.stored(repo, revision) if revision else None
    if pinned is not None and pinned.name == revision:      # a commit never changes: no need to ask the hub
        return pinned, pinned.name

    def on_progress(progress: DownloadProgress) -> None:
        report(LoadEvent("download", progress.done_bytes, progress.total_bytes, f"Downloading {progress.file}"))

    try:
        folder = hub.download(repo, revision, on_progress, threading.Event(), settings.hf_token)
    except HubUnreachable as error:
        stored = hub.stored(repo, revision)
        if stored is None:
            raise
        report(LoadEvent("download", note=f"The copy on disk is used: {error.what}"))
        folder = stored
    return folder, folder.name      # snapshots are stored under their commit
