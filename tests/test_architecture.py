"""Which way imports flow, checked in the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "accelerate"}
# Loaded only when a model is: the page is up before them.
TOUCH_TENSORS = {"engine/residence.py", "engine/generation/batched.py", "engine/generation/single.py", "engine/generation/sampling.py",
                 "engine/generation/attention.py",
                 "engine/models/packing.py"}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Absolute names of imported modules; relative ones are resolved. `if TYPE_CHECKING` does not count as top level."""
    tree = ast.parse(path.read_text("utf-8"))
    package = path.relative_to(ROOT).parent.parts
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            yield ".".join(part for part in (base, node.module or "") if part)


@pytest.mark.parametrize("path", sources("engine"), ids=str)
def test_the_engine_knows_no_page_and_no_http(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {"gradio", "fastapi", "ui", "api", "app", "starlette"}


@pytest.mark.parametrize("path", sources("ui", "api"), ids=str)
def test_the_page_uses_the_engines_public_names_only(path: Path) -> None:
    assert {name for name in imports(path) if name.split(".")[0] == "engine"} <= {"engine"}
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY


@pytest.mark.parametrize("path", sources("engine"), ids=str)
def test_heavy_libraries_are_imported_only_where_tensors_are_touched(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in TOUCH_TENSORS:
        assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & HEAVY


def test_importing_the_engine_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, engine; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"


@pytest.mark.parametrize("path", sources("engine/models", "engine/generation", "engine/storage"), ids=str)
def test_nothing_imports_upwards(path: Path) -> None:
    upper = {"engine.engine", "engine.residence", "engine.providers", "engine"}
    if path.name != "__init__.py":
        assert not set(imports(path)) & upper


def test_remote_code_is_never_trusted() -> None:
    calls = [(path, node.value.value) for path in sources("engine", "ui", "api") for node in ast.walk(ast.parse(path.read_text("utf-8")))
             if isinstance(node, ast.keyword) and node.arg == "trust_remote_code" and isinstance(node.value, ast.Constant)]
    assert calls
    assert all(value is False for _, value in calls)
