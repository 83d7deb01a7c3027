"""From a file to a run: each step's input, checked and kept in the session. A refusal is shown in the step where it was asked for.

Nothing that comes from the page is trusted: the engine decides what may be read and who may train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import EngineError
from engine.finetune import HEADED, ROLES, Table, example_plan, example_table, guess_columns, guess_task

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.language import text
from .parts import METHODS, NUMBERS, TASKS
from .session import FineTuneSession, Step

MAX_NUMBER = 1e18       # no NaN, and nothing that a float cannot hold
MAX_NAME, MAX_BASE = 120, 300
WHOLE = ("batch_size", "max_tokens", "lora_rank", "lora_alpha", "evaluations", "patience", "seed")      # options that are whole numbers
MAY_BE_EMPTY = ("learning_rate", "max_tokens")      # the method's default


def refusal(context: Context) -> str:
    """The key of the reason why this visitor cannot train here, or "". The engine refuses it too."""
    if not context.fine_tunes.refusal(context.visitor):
        return ""
    return "tune.refusal.zero_gpu" if context.engine.settings.is_zero_gpu else "tune.refusal.sign_in"


@contextmanager
def problems_shown(session: FineTuneSession, step: Step) -> Iterator[None]:
    """What is refused inside the block is shown at `step`; earlier problems go."""
    session.problems.clear()
    try:
        yield
    except (PageError, EngineError) as error:
        session.problems[step] = error


def use_loaded_model(context: Context, session: FineTuneSession) -> None:
    """Begin with the loaded model as the base, if it is one that can be trained."""
    spec = context.engine.spec
    if spec is not None and not spec.is_remote:
        session.base = spec.model


# --- data ---

def read_upload(context: Context, session: FineTuneSession, path: Path) -> None:
    """Read an uploaded file, which is then in the store of tables and no longer among the page's files."""
    with problems_shown(session, "data"):
        try:
            content = path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
        begin(session, context.tables.read(path.name, content, context.visitor.owner))


def read_dataset(context: Context, session: FineTuneSession, name: str, part: str) -> list[str]:
    """Read one part of a data set of the hub, by default its first. Returns the names of all parts, the one that was read first."""
    with problems_shown(session, "data"):
        if not name.strip():
            raise PageError("tune.hub.nothing")
        token = context.library.permissions.hub_token(context.visitor)
        dataset = context.tables.on_hub(name.strip()[:MAX_BASE], token)
        parts = [each.name for each in dataset.parts]
        chosen = part if part in parts else parts[0]
        begin(session, context.tables.from_hub(dataset, chosen, context.visitor.owner, token))
        return [chosen, *(each for each in parts if each != chosen)]
    return []


def read_again(context: Context, session: FineTuneSession) -> None:
    """Read the table's first row as names if it was read as a row, and the other way round."""
    table = session.require_table()
    with problems_shown(session, "data"):
        begin(session, context.tables.read_again(table.id, context.visitor.owner, has_header=table.is_headless))


def use_example(context: Context, session: FineTuneSession) -> None:
    """The example set with the built-in model, ready to start."""
    with problems_shown(session, "data"):
        table = example_table(context.tables, context.visitor.owner)
        session.use_plan(example_plan(table), table, table)
        session.step = "model"
        check_examples(context, session)
        make_estimate(context, session)


def begin(session: FineTuneSession, table: Table) -> None:
    """Show a new table, with its task and columns guessed."""
    session.use_table(table)
    session.task = guess_task(table)
    session.columns = dict(guess_columns(table, session.task))
    session.name = Path(table.name).stem[:MAX_NAME]


def read_second(context: Context, session: FineTuneSession, path: Path) -> None:
    """Read a file to measure on, instead of holding examples back."""
    with problems_shown(session, "map"):
        try:
            content = path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
        session.validation = context.tables.read(path.name, content, context.visitor.owner)
        check_examples(context, session)


# --- columns ---

def choose_columns(context: Context, session: FineTuneSession, task: Any, columns: Mapping[str, Any], held_back: Any) -> None:
    """Keep what was chosen. Another task gets its own columns guessed. Values that the components do not offer are ignored."""
    table = session.require_table()
    with problems_shown(session, "map"):
        if task in TASKS and task != session.task:
            session.task, session.columns, session.is_fresh = task, dict(guess_columns(table, task)), True
        else:
            roles = [role.key for role in ROLES[session.task]]
            session.columns = {key: str(columns[key]) for key in roles if columns.get(key) in table.columns}
        if isinstance(held_back, int | float) and abs(held_back) < MAX_NUMBER:
            session.held_back = int(held_back)
        check_examples(context, session)


def check_examples(context: Context, session: FineTuneSession) -> None:
    """Count problems, labels and lengths. Missing columns are a problem of the step, not of its examples."""
    session.report, session.estimate, session.at = None, None, 0
    missing = missing_roles(session)
    if missing:
        roles = ", ".join(text(context.language, f"tune.role.{key}") for key in missing)
        raise PageError("tune.map.missing", roles=roles)
    session.report = context.examiner.check(session.plan(), context.visitor.owner)


def missing_roles(session: FineTuneSession) -> list[str]:
    """The roles without a column. A chat has either messages, or questions and answers."""
    if session.task == "chat":
        return [] if "messages" in session.columns else [key for key in ("question", "answer") if key not in session.columns]
    return [role.key for role in ROLES[session.task] if not role.is_optional and role.key not in session.columns]


# --- model ---

def choose_model(context: Context, session: FineTuneSession, base: Any, method: Any, name: Any, numbers: Sequence[Any]) -> None:
    """Keep what was chosen, and estimate the run again."""
    with problems_shown(session, "model"):
        session.base = str(base or "").strip()[:MAX_BASE] or session.base
        session.method = method if method in METHODS else session.method
        session.name = str(name or "").strip()[:MAX_NAME] or session.name
        session.options = replace(session.options, **read_numbers(numbers))
        make_estimate(context, session)


def read_numbers(numbers: Sequence[Any]) -> dict[str, Any]:
    """The options as typed. Raises PageError for a field without a number, unless the method has a default for it."""
    found: dict[str, Any] = {}
    for key, value in zip(NUMBERS, numbers, strict=True):
        is_number = isinstance(value, int | float) and abs(value) < MAX_NUMBER
        if not is_number and (value is not None or key not in MAY_BE_EMPTY):
            raise PageError("tune.option.missing")
        found[key] = int(value) if is_number and key in WHOLE else value
    return found


def make_estimate(context: Context, session: FineTuneSession) -> None:
    session.estimate = None
    session.estimate = context.fine_tunes.estimate(session.plan(), context.visitor)


def apply_remedy(context: Context, session: FineTuneSession, remedy: str) -> None:
    """Change what the estimate says would help."""
    options = session.options
    with problems_shown(session, "model"):
        if remedy in ("qlora", "lora"):
            session.method = "qlora" if remedy == "qlora" and session.task not in HEADED else "lora"
        elif remedy == "smaller_batch":
            session.options = replace(options, batch_size=max(1, options.batch_size // 2))
        elif remedy == "shorter_examples":
            session.options = replace(options, max_tokens=max(32, (options.max_tokens or 512) // 2))
        session.is_fresh = True
        make_estimate(context, session)
