"""Creates or updates a Hugging Face Space from this repository, waits until it runs, and asks it one question.

    HF_TOKEN=... python -m scripts.deploy_space OWNER/NAME [--variable NAME=VALUE] [--secret NAME] [--public] [--hardware zero-a10g]

The token needs the right to write. A new Space is private unless --public is given; an existing one keeps its visibility and hardware.
--secret takes the value from the environment variable of that name, so that it is in no history of commands. The files are those that
git tracks; others are deleted from the Space.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gradio_client import Client
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError

from engine.settings import Secret

from .check_space import ROOT, problems, tracked

WAIT_S = 1800.0         # building takes minutes, most of them for torch
POLL_S = 5.0
REBUILD_S = 60.0        # until the platform begins to build what was pushed; it does not if nothing has changed
QUESTION = "Which model fits in 6 GB?"
KEPT = (".gitattributes",)      # made by the platform


class DeploymentFailed(Exception):
    """The message says at which step, and what to do."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """`space`: owner/name. `variables` are public, `secrets` are not. `hardware`: of a new Space; empty: the platform's default."""

    space: str
    folder: Path = ROOT
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    is_private: bool = True
    hardware: str = ""
    wait_s: float = WAIT_S
    poll_s: float = POLL_S


def deploy(deployment: Deployment, api: HfApi) -> str:
    """Return the Space's answer to one question. Raises DeploymentFailed."""
    if found := problems(deployment.folder):
        raise DeploymentFailed("This repository cannot run as a Space:\n" + "\n".join(found))
    try:
        api.create_repo(deployment.space, repo_type="space", space_sdk="gradio", private=deployment.is_private, exist_ok=True,
                        space_hardware=deployment.hardware or None)     # type: ignore[arg-type]
        for name, value in deployment.variables.items():
            api.add_space_variable(deployment.space, name, value)
        for name, secret in deployment.secrets.items():
            api.add_space_secret(deployment.space, name, secret.reveal())
        wait_for_rebuild(deployment, api, push(deployment, api))
        return answer(wait_until_running(deployment, api), api)
    except HfHubHTTPError as error:
        raise DeploymentFailed(f"The hub refused: {error.server_message or error}. Check the token's rights and the name "
                               f"{deployment.space}.") from error


def push(deployment: Deployment, api: HfApi) -> str:
    """Make the Space's files those that git tracks, in one commit, and return its hash."""
    names = {path.relative_to(deployment.folder).as_posix(): path for path in tracked(deployment.folder)}
    old = [name for name in api.list_repo_files(deployment.space, repo_type="space") if name not in names and name not in KEPT]
    operations = [*(CommitOperationAdd(name, path) for name, path in names.items()), *(CommitOperationDelete(name) for name in old)]
    return str(api.create_commit(deployment.space, operations, commit_message="Deploy", repo_type="space").oid)


def wait_for_rebuild(deployment: Deployment, api: HfApi, commit: str) -> None:
    """Wait until the version before is no longer the one that runs, so that it is not the one that is asked."""
    deadline = time.monotonic() + REBUILD_S
    while time.monotonic() < deadline:
        runtime = api.get_space_runtime(deployment.space)
        if runtime.stage != "RUNNING" or runtime.raw.get("sha") == commit:
            return
        time.sleep(deployment.poll_s)


def wait_until_running(deployment: Deployment, api: HfApi) -> str:
    """Return the address of the running Space. Raises DeploymentFailed with the platform's reason."""
    try:
        runtime = api.wait_for_space(deployment.space, timeout=deployment.wait_s, poll_interval=deployment.poll_s)
    except TimeoutError as error:
        raise DeploymentFailed(f"{deployment.space} is not running after {deployment.wait_s:.0f} s. Read its logs on the hub.") from error
    host = api.space_info(deployment.space).host
    if runtime.stage != "RUNNING" or not host:
        why = runtime.raw.get("errorMessage") or "no reason was given"
        raise DeploymentFailed(f"{deployment.space} ended in the stage {runtime.stage}: {why}. Read its logs on the hub.")
    return host


def answer(address: str, api: HfApi) -> str:
    """Ask the Space one question. Raises DeploymentFailed if it does not answer."""
    try:
        client = Client(address, token=api.token if isinstance(api.token, str) else None, verbose=False, analytics_enabled=False)
        text = str(client.predict(QUESTION, api_name="/chat")).strip()
    except Exception as error:      # any failure of another program's client; the Space itself is up
        raise DeploymentFailed(f"The Space runs, but did not answer: {type(error).__name__}: {str(error)[:300]}") from error
    if not text:
        raise DeploymentFailed("The Space runs, but its answer is empty.")
    return text


def parse(arguments: Sequence[str] | None, environ: Mapping[str, str]) -> Deployment:
    """Read the command line. Ends the process with a sentence for one that is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("space", help="owner/name")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME=VALUE", help="a public setting; repeatable")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME", help="a secret, from the environment; repeatable")
    parser.add_argument("--public", action="store_true", help="everyone may see a new Space")
    parser.add_argument("--hardware", default="", help="of a new Space: zero-a10g, cpu-basic, t4-small, ...")
    parser.add_argument("--wait", type=float, default=WAIT_S, metavar="SECONDS", help="longest wait until it runs")
    asked = parser.parse_args(arguments)
    if asked.space.count("/") != 1:
        parser.error(f"{asked.space!r} must be owner/name")
    if wrong := [each for each in asked.variable if "=" not in each]:
        parser.error(f"--variable {wrong[0]} must be NAME=VALUE")
    if missing := [name for name in asked.secret if not environ.get(name)]:
        parser.error(f"the environment has no {missing[0]}, which --secret names")
    variables, secrets = dict(each.split("=", 1) for each in asked.variable), {name: Secret(environ[name]) for name in asked.secret}
    return Deployment(asked.space, ROOT, variables, secrets, not asked.public, asked.hardware, asked.wait)


def main(arguments: Sequence[str] | None = None) -> int:
    deployment = parse(arguments, os.environ)
    try:
        text = deploy(deployment, HfApi(token=os.environ.get("HF_TOKEN")))
    except DeploymentFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{deployment.space} runs. Asked “{QUESTION}”, it answers: {text[:300]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
