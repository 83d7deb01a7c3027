"""The example set that comes with the app: forty invented questions and answers, and a plan that teaches them to the built-in model."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..models.spec import ModelSpec
from ..settings import BUILTIN
from .plan import FineTunePlan, TrainingOptions
from .table import Table
from .tables import Tables

FILE = Path(__file__).parent / "example" / "tallmere.csv"
NAME = "Tallmere"
# Learned by heart, so it is measured on the examples themselves and goes over them often.
OPTIONS = TrainingOptions(epochs=16, learning_rate=5e-3, evaluations=1, patience=0)


def example_table(tables: Tables, owner: str = "") -> Table:
    """The table in this owner's store, where it is read once. Raises DiskFull."""
    content = FILE.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return next((table for table in tables.list(owner) if table.digest == digest), None) or tables.read(FILE.name, content, owner)


def example_plan(table: Table) -> FineTunePlan:
    columns = {"question": "question", "answer": "answer"}
    return FineTunePlan("chat", table.id, columns, ModelSpec(BUILTIN), "lora", NAME, validation_table=table.id, test_share=0.0,
                        options=OPTIONS)
