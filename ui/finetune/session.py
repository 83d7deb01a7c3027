"""What one open page's Fine-tune tab holds: the step that is shown, and what was chosen so far. Lives in gr.State; never shared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from engine import BUILTIN, ModelSpec
from engine.finetune import Estimate, FineTunePlan, Method, Report, Run, Table, Task, TrainingOptions

from ..shared.errors import PageError

Step = Literal["data", "map", "model", "run", "result"]
STEPS: tuple[Step, ...] = get_args(Step)
HELD_BACK = 10      # per cent of the examples


@dataclass
class FineTuneSession:
    """`problems`: what went wrong, by the step where it was asked for."""

    is_open: bool = False           # whether the tab was looked at
    step: Step = "data"
    is_fresh: bool = True           # the fields of the step must show what was chosen
    problems: dict[Step, Exception] = field(default_factory=dict)
    table: Table | None = None
    task: Task = "chat"
    columns: dict[str, str] = field(default_factory=dict)       # by role
    held_back: int = HELD_BACK
    report: Report | None = None
    validation: Table | None = None     # a second table to measure on, instead of held-back examples
    at: int = 0                     # the example that is shown
    base: str = BUILTIN
    method: Method = "lora"
    options: TrainingOptions = field(default_factory=TrainingOptions)
    name: str = ""
    estimate: Estimate | None = None
    run_id: str = ""                # the run that is shown
    run_state: str = ""             # its state when it was shown last
    ready: str = ""                 # what was made ready for a download, as HTML

    @property
    def usable(self) -> int:
        """Rows of the first table without errors."""
        if self.report is None:
            return 0
        return self.report.train + (0 if self.validation else self.report.validation)

    def require_table(self) -> Table:
        """Raises PageError before a table was read."""
        if self.table is None:
            raise PageError("tune.nothing")
        return self.table

    def plan(self) -> FineTunePlan:
        """What was chosen. Raises PageError before a table was read."""
        return FineTunePlan(self.task, self.require_table().id, dict(self.columns), ModelSpec(self.base), self.method, self.name,
                            validation_table=self.validation.id if self.validation else "",
                            test_share=0.0 if self.validation else self.held_back / 100, options=self.options)

    def show(self, step: Step) -> None:
        self.step, self.is_fresh = step, True
        self.problems.clear()

    def use_table(self, table: Table, validation: Table | None = None) -> None:
        """Begin with another table. What was chosen for the one before does not apply to it."""
        self.table, self.validation, self.columns, self.report, self.estimate, self.at = table, validation, {}, None, None, 0
        self.run_id, self.is_fresh = "", True

    def use_plan(self, plan: FineTunePlan, table: Table, validation: Table | None) -> None:
        """Begin with the choices of a plan."""
        self.use_table(table, validation)
        self.task, self.columns, self.base, self.method, self.name = plan.task, dict(plan.columns), plan.base.model, plan.method, plan.name
        self.held_back, self.options = round(100 * plan.test_share), plan.options

    def show_run(self, run: Run) -> None:
        self.run_id, self.ready = run.id, ""
        self.show("result" if run.state == "done" else "run")
