"""Fine-tuning in a program: a file in, a model out.

    from engine import FineTune

    tuning = FineTune("questions.csv", base="builtin", method="lora", epochs=20)
    run = tuning.run()                      # blocks; tuning.start() and tuning.follow() do not
    print(run.before, run.after, tuning.result)

The options are those of the page (`TrainingOptions`), and so are the runs: the page of the same data folder lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, InvalidRequest
from ..library.permissions import Visitor
from ..models.spec import ModelSpec
from ..settings import Secret, Settings
from .bases import find_base
from .checks import Report, check
from .columns import guess_columns, guess_task
from .fine_tunes import FineTunes
from .inputs import completed, tokenizer_of
from .plan import FineTunePlan, Method, Task, TrainingOptions
from .run import Estimate, Run
from .table import Table
from .tables import Tables
from .using import use_result

if TYPE_CHECKING:
    from ..runtime.engine import Engine

OPTIONS = frozenset(field.name for field in fields(TrainingOptions))


class FineTune:
    """One plan, and its newest run.

    `data`, `validation`: a CSV, TSV, JSON, JSONL or Parquet file, or a Table. `task`, `columns`: guessed where they are not given. `base`:
    "builtin", a folder, or owner/name on the hub. `options`: those of TrainingOptions. `engine`: whose chat model makes room if it must;
    by default a new one without a model. Raises TableRefused, InvalidRequest and StorageError.
    """

    def __init__(self, data: str | Path | Table, *, base: str | ModelSpec = "builtin", task: Task | None = None,
                 columns: Mapping[str, str] | None = None, method: Method = "lora", validation: str | Path | Table | None = None,
                 test_share: float = 0.1, name: str = "", engine: Engine | None = None, settings: Settings | None = None,
                 **options: Any) -> None:
        from ..library.library import Library
        from ..runtime.engine import Engine

        if unknown := set(options) - OPTIONS:
            raise InvalidRequest("option", sorted(unknown)[0], f"one of {', '.join(sorted(OPTIONS))}")
        self.engine = engine or Engine(settings)
        self._library = Library(self.engine)
        self._tables = Tables(self.engine.settings)
        self.fine_tunes = FineTunes(self.engine, self._library, self._tables)
        self._visitor = Visitor()
        self.table = self._read(data)
        held = self._read(validation) if validation is not None else None
        self.validation = held
        task = task or guess_task(self.table)
        self.plan = FineTunePlan(
            task, self.table.id, dict(columns or guess_columns(self.table, task)), base if isinstance(base, ModelSpec) else ModelSpec(base),
            method, name, held.id if held else "", 0.0 if held else test_share, TrainingOptions(**options))
        self._run_id = ""

    def check(self) -> Report:
        """What is wrong with the examples, by row and column. Raises what `estimate` raises."""
        tokenizer = tokenizer_of(find_base(self.plan, self.engine.settings))
        return check(self.table, completed(self.plan, self.engine.settings), tokenizer, self.validation)

    def estimate(self) -> Estimate:
        """Memory, time and disk. Raises InvalidRequest, ModelNotFound and the errors of the hub, UnsupportedModel."""
        return self.fine_tunes.estimate(self.plan, self._visitor)

    def start(self) -> Run:
        """Start in the background. Raises NotEnoughMemory, DiskFull, EngineBusy, and what `estimate` raises."""
        run = self.fine_tunes.start(self.plan, self._visitor)
        self._run_id = run.id
        return run

    def follow(self) -> Generator[Run, None, None]:
        """Yield the run now, after every change, and when it is over."""
        yield from self.fine_tunes.follow(self.run_id, self._visitor)

    def run(self, on_change: Callable[[Run], object] | None = None) -> Run:
        """Train to the end, and return the run. Raises what `start` raises, and EngineError with the reason if it failed."""
        self.start()
        return self._finish(on_change)

    def stop(self) -> None:
        """Ask it to save a checkpoint and stop."""
        self.fine_tunes.stop(self.run_id, self._visitor)

    def resume(self, on_change: Callable[[Run], object] | None = None) -> Run:
        """Go on to the end, as if it had not stopped. Raises what `run` raises."""
        self.fine_tunes.resume(self.run_id, self._visitor)
        return self._finish(on_change)

    @property
    def run_id(self) -> str:
        """Raises InvalidRequest before `start`."""
        if not self._run_id:
            raise InvalidRequest("run", "none", "started first")
        return self._run_id

    @property
    def result(self) -> Path:
        """The folder of the model, or of the adapter. Raises InvalidRequest without a result."""
        return self.fine_tunes.result_folder(self.run_id, self._visitor)

    def card(self) -> str:
        return self.fine_tunes.card(self.run_id, self._visitor)

    def script(self) -> str:
        return self.fine_tunes.script(self.run_id, self._visitor)

    def merge(self) -> Path:
        """The folder of the merged model. Raises InvalidRequest, NotEnoughMemory, DiskFull and LoadError."""
        return self.fine_tunes.merge(self.run_id, self._visitor)

    def export(self, *, is_merged: bool = False) -> Path:
        """A zip file. Raises what `merge` raises."""
        return self.fine_tunes.export(self.run_id, self._visitor, is_merged=is_merged)

    def push(self, repo: str, token: str | Secret, *, is_private: bool = True, is_merged: bool = False) -> str:
        """Upload the result to the Hub, and return its address. Raises InvalidRequest, TokenRejected, ModelAccessDenied, HubUnreachable."""
        secret = token if isinstance(token, Secret) else Secret(token)
        return self.fine_tunes.push(self.run_id, repo, secret, self._visitor, is_private=is_private, is_merged=is_merged)

    def use(self) -> str:
        """Load the result in the engine: the base, if another model is loaded, and the adapter beside it; a full result itself.

        Returns the adapter's name for GenerationOptions, "" for a full result. Raises what `Engine.load` raises.
        """
        return use_result(self.fine_tunes, self.run_id, self._visitor)

    def delete(self) -> None:
        """Delete the run and its files. Raises EngineBusy while it is in progress."""
        self.fine_tunes.delete(self.run_id, self._visitor)
        self._run_id = ""

    def _read(self, data: str | Path | Table) -> Table:
        if isinstance(data, Table):
            return data
        path = Path(data).expanduser()
        try:
            return self._tables.read(path.name, path.read_bytes())
        except OSError as error:
            raise InvalidRequest("data", str(path), f"a file that can be read ({error.strerror})") from error

    def _finish(self, on_change: Callable[[Run], object] | None) -> Run:
        for run in self.follow():
            if on_change is not None:
                on_change(run)
        if run.state == "failed":
            raise EngineError(run.reason)
        return run
