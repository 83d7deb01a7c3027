"""Dockerfile, compose.yaml and the workflows, as far as they can be checked without running them; CI also lints and builds them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import Settings

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile with their arguments; continued lines are joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    return found


def test_the_base_image_is_pinned_and_has_the_python_of_the_space() -> None:
    bases = [rest for name, rest in instructions() if name == "FROM"]
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
    assert 'python_version: "3.12"' in (ROOT / "README.md").read_text("utf-8")


def test_the_container_does_not_run_as_root() -> None:
    found = instructions()
    users = [rest for name, rest in found if name == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert f"useradd --create-home --uid 1000 {users[-1]}" in dict(found[::-1])["RUN"]
    names = [name for name, _ in found]
    assert "RUN" not in names[names.index("USER"):]
    assert json.loads(dict(found)["CMD"]) == ["python", "app.py"]


def test_no_secret_is_built_into_the_image() -> None:
    named = [rest for name, rest in instructions() if name in ("ARG", "ENV", "COPY", "ADD")]
    assert not [each for each in named if re.search(r"TOKEN|SECRET|PASSWORD|_KEY|\.env", each)]
    assert "ADD" not in dict(instructions())
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[0] == "*"
    assert not [line for line in ignored if line.startswith("!") and ".env" in line]


def test_everything_that_is_copied_exists_and_reaches_the_build() -> None:
    copied = [source for name, rest in instructions() if name == "COPY" for source in rest.split()[:-1]]
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    assert sorted(name.removeprefix("./") for name in copied) == sorted(sent)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_every_package_that_the_app_imports_is_copied() -> None:
    nodes = ast.walk(ast.parse((ROOT / "app.py").read_text("utf-8")))
    imported = {node.module.partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    own = {name for name in imported if (ROOT / name).is_dir()}
    assert {"engine", "ui"} <= own
    assert own <= {rest.split()[0] for name, rest in instructions() if name == "COPY"}


def test_the_cpu_and_the_gpu_are_a_build_argument_that_the_dockerfile_knows() -> None:
    run = next(rest for name, rest in instructions() if name == "RUN" and "DEVICE" in rest)
    devices = {name: service["build"]["args"]["DEVICE"] for name, service in services().items() if "build" in service}
    assert devices == {"cpu": "cpu", "cuda": "cuda", "page": "cpu"}
    assert all(f"{device})" in run for device in devices.values())
    assert ("ARG", "DEVICE=cpu") in instructions()


@pytest.mark.parametrize("name", ["cpu", "cuda", "page"])
def test_a_service_is_open_to_this_machine_only_and_has_no_rights(name: str) -> None:
    service = services()[name]
    assert all(str(port).startswith("127.0.0.1:") for port in service["ports"])
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "network_mode", "pid"} & set(service)
    assert service["profiles"] == ["vllm" if name == "page" else name]


def test_the_settings_of_the_container_are_those_of_the_app() -> None:
    environ = {name: str(value) for name, value in services()["cpu"]["environment"].items()}
    settings = Settings.from_env(environ, Path("/nonexistent"))
    assert (settings.host, settings.port, settings.data_dir) == ("0.0.0.0", 7860, Path("/data/mindcubes"))


def test_the_page_in_front_of_vllm_uses_its_model_and_only_the_page_is_reachable() -> None:
    page, vllm = services()["page"], services()["vllm"]
    settings = Settings.from_env({name: str(value) for name, value in page["environment"].items()}, Path("/nonexistent"))
    assert (settings.model, settings.remote_url, settings.remote_model) == ("remote:server", "http://vllm:8000", vllm["command"][1])
    assert settings.remote_key.reveal() == vllm["environment"]["VLLM_API_KEY"]
    assert settings.port == 7860
    assert "ports" not in vllm
    assert re.fullmatch(r"vllm/vllm-openai:v\d+\.\d+\.\d+", vllm["image"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_of_a_workflow_is_pinned_by_its_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)", path.read_text("utf-8"))
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", each)] == []


def test_a_deployment_follows_passed_tests_of_the_main_branch() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text("utf-8"))
    trigger = workflow[True]["workflow_run"]        # YAML reads the key `on` as true
    assert (trigger["workflows"], trigger["branches"]) == (["test"], ["main"])
    job = workflow["jobs"]["deploy"]
    assert "workflow_run.conclusion == 'success'" in job["if"]
    assert "workflow_run.event == 'push'" in job["if"]      # not a pull request of a fork
    assert [name for step in job["steps"] for name, value in step.get("env", {}).items() if "secrets." in value] == ["HF_TOKEN"]
