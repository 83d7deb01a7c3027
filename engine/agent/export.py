"""Exports a run of the agent as a Python script or a Jupyter notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..storage.agent_records import AgentRun, Step, Task

OUTPUT_CHARS = 20_000


def to_script(run: AgentRun) -> str:
    """The last program of every task, under the task as a comment."""
    parts = []
    for task in run.tasks:
        step = task.last_program
        if step is not None:
            parts.append(f"{_comment(task.text)}\n\n{step.code.strip()}")
    return "\n\n\n".join(parts) + "\n"


def to_notebook(run: AgentRun) -> str:
    """nbformat 4.5 (nbformat.readthedocs.io/en/latest/format_description.html): tasks, programs, outputs, answers."""
    cells = [cell for task in run.tasks for cell in _cells(task)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
                       "nbformat": 4, "nbformat_minor": 5}, ensure_ascii=False, indent=1)


def _cells(task: Task) -> Iterator[dict[str, Any]]:
    yield _markdown_cell(task.text)
    number = 0
    for step in task.steps:
        if step.prose and step.code:
            yield _markdown_cell(step.prose)
        if step.code:
            number += 1
            yield _code_cell(step, number)
    if task.answer and not any(step.prose == task.answer and step.code for step in task.steps):
        yield _markdown_cell(task.answer)


def _markdown_cell(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code_cell(step: Step, number: int) -> dict[str, Any]:
    streams = (("stdout", step.stdout), ("stderr", step.error))
    outputs = [{"output_type": "stream", "name": name, "text": text[:OUTPUT_CHARS]} for name, text in streams if text]
    return {"cell_type": "code", "metadata": {}, "execution_count": number if step.phase == "over" else None, "source": step.code,
            "outputs": outputs}


def _comment(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())
