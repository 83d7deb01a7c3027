"""Uploads a folder as a model to the hub: a new repository, or a new commit of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import HubUnreachable
from .client import HubClient

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MESSAGE = "Upload a model trained with MindCubes"


def upload(client: HubClient, repo: str, folder: Path, *, is_private: bool) -> str:
    """Return the address of the repository. `is_private`: of a new one; one that exists stays as it is.

    Raises ModelAccessDenied for an account without the right to write, TokenRejected, ModelNotFound and HubUnreachable.
    """
    def send(api: HfApi) -> tuple[str, str]:
        """The address, and what went wrong. An error raised here would keep the library's as its context, which has the token."""
        from huggingface_hub.errors import HfHubHTTPError

        try:
            created: Any = api.create_repo(repo, private=is_private, exist_ok=True)
            api.upload_folder(repo_id=created.repo_id, folder_path=folder, commit_message=MESSAGE)
            return str(created), ""
        except HfHubHTTPError:
            raise
        except (OSError, RuntimeError) as error:        # of the program that sends large files
            return "", type(error).__name__

    address, problem = client.with_api(repo, send)
    if problem:
        raise HubUnreachable(repo, problem)
    return address
