"""The direction of imports, checked in the source."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "accelerate"}
# Loaded only when a model is: the page is up before them.
TOUCH_TENSORS = {"engine/runtime/active_model.py", "engine/compat/kv_cache.py", "engine/compat/torch.py"} | {
    f"engine/models/{name}.py" for name in ("packing", "linear", "integer", "integer_model", "integer_files", "rounding", "stored_weight",
                                             "stored_weights", "weight_files")} | {
    f"engine/generation/{name}.py" for name in (
        "adapters", "attention", "batched", "decoder", "lanes", "layers", "lent", "library_forward", "paged_cache", "picture_rows",
        "pictures", "proof", "reading", "sampling", "single", "threads")} | {
    f"engine/finetune/trainer/{name}.py" for name in ("base", "batches", "losses", "measure", "process", "reporting", "training")}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Absolute names of imported modules; relative ones are resolved. `if TYPE_CHECKING` does not count as top level."""
    tree = parsed(path)
    package = path.relative_to(ROOT).parent.parts
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            yield ".".join(part for part in (base, node.module or "") if part)


@pytest.mark.parametrize("path", sources("engine"), ids=str)
def test_the_engine_imports_neither_the_page_nor_http(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {"gradio", "fastapi", "ui", "api", "app", "starlette"}


@pytest.mark.parametrize("path", sources("ui", "api"), ids=str)
def test_the_page_uses_the_public_names_of_the_engines_packages(path: Path) -> None:
    """`engine`, `engine.chat`, `engine.errors`: never a module inside a package."""
    assert not [name for name in imports(path) if name.startswith("engine.") and name.count(".") > 1]
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY


@pytest.mark.parametrize("path", sources("ui", "api"), ids=str)
def test_the_page_and_the_api_do_not_know_each_other(path: Path) -> None:
    other = "api" if path.relative_to(ROOT).parts[0] == "ui" else "ui"
    assert not {name.split(".")[0] for name in imports(path)} & {other, "gradio" if other == "ui" else other}


@pytest.mark.parametrize("path", sources("engine"), ids=str)
def test_heavy_libraries_are_imported_only_where_tensors_are_touched(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in TOUCH_TENSORS:
        assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & HEAVY


def test_importing_the_engine_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, engine; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"


@pytest.mark.parametrize("path", sources(
    "engine/checkpoint", "engine/models", "engine/hub", "engine/generation", "engine/storage", "engine/sandbox"), ids=str)
def test_nothing_imports_upwards(path: Path) -> None:
    upper = ("engine.runtime", "engine.providers", "engine.library", "engine.chat", "engine.agent", "engine.benchmark")
    assert not [name for name in imports(path) if name == "engine" or name.startswith(upper)]


def modules(folder: str) -> dict[str, set[str]]:
    """For each module, the project's modules that it imports, inside functions and for the type checker too."""
    known = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in sources(folder)}
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        targets: set[str] = set()
        package = path.relative_to(ROOT).parent.parts
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom):
                base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
                name = ".".join(part for part in (base, node.module or "") if part)
                targets |= {f"{name}.{alias.name}" if f"{name}.{alias.name}" in known else name for alias in node.names}
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
        found[module] = (targets & set(known)) - {module}
    return found


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other."""
    reach = {node: set(targets) for node, targets in graph.items()}
    for middle in graph:
        for targets in reach.values():
            if middle in targets:
                targets |= reach[middle]
    groups = {tuple(sorted(other for other in graph if other in reach[node] and node in reach[other]))
              for node in graph if node in reach[node]}
    return [list(group) for group in sorted(groups)]


@pytest.mark.parametrize("folder", ["engine", "ui", "api"])
def test_there_are_no_import_cycles_between_modules(folder: str) -> None:
    graph = {module: {target for target in targets if target not in (folder,)} for module, targets in modules(folder).items()}
    assert cycles(graph) == []


@pytest.mark.parametrize("folder", ["engine", "ui", "api"])
def test_there_are_no_import_cycles_between_folders(folder: str) -> None:
    folders = {path.relative_to(ROOT).parent.as_posix().replace("/", ".") for path in sources(folder)}

    def home(module: str) -> str:
        return module if module in folders else module.rpartition(".")[0]

    graph: dict[str, set[str]] = {name: set() for name in folders}
    for module, targets in modules(folder).items():
        if module in folders:       # a package's own list of public names
            continue
        graph[home(module)] |= {home(target) for target in targets} - {home(module), folder}
    assert cycles(graph) == []


def test_files_and_functions_are_short() -> None:
    long = [f"{path.relative_to(ROOT)}: {count} lines" for path in sources("engine", "ui", "api")
            if (count := len(path.read_text("utf-8").splitlines())) > 300]
    for path in sources("engine", "ui", "api"):
        long += [f"{path.relative_to(ROOT)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
                 for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                 and node.end_lineno is not None and node.end_lineno - node.lineno >= 50]
    assert long == []


def test_the_page_uses_the_engines_methods_and_never_its_stores() -> None:
    used = [f"{path.relative_to(ROOT)}:{node.lineno}" for path in sources("ui", "api")
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Attribute) and node.attr in ("store", "database", "_store")
            and ast.unparse(node) != "request.store"]       # a field of OpenAI's API
    assert used == []


def test_remote_code_is_never_trusted() -> None:
    calls = [(path, node.value.value) for path in sources("engine", "ui", "api") for node in ast.walk(parsed(path))
             if isinstance(node, ast.keyword) and node.arg == "trust_remote_code" and isinstance(node.value, ast.Constant)]
    assert calls
    assert all(value is False for _, value in calls)


def test_event_loops_of_tests_have_a_thread_of_their_own() -> None:
    """A browser's loop runs in the thread of the tests, so another one cannot."""
    starts = {"asyncio.run", "anyio.run"}
    assert [str(path.relative_to(ROOT)) for path in sources("tests") if path.name != "own_thread.py" and any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in starts for node in ast.walk(parsed(path)))] == []
