"""Saves figures, since there is no screen: `plt.show()` saves the open figures, and so does the end of a program."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

PYPLOT = "matplotlib.pyplot"


class PyplotFinder:
    """A finder on `sys.meta_path` that gives pyplot a `show` that saves, once it is imported."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != PYPLOT:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_replace_show(module: ModuleType) -> None:
                execute(module)
                _replace_show(module)

            loader.exec_module = execute_and_replace_show
        return spec


def finish(*, is_saved: bool) -> None:
    """Close every open figure; save those that the program did not save itself."""
    pyplot: Any = sys.modules.get(PYPLOT)
    if pyplot is None:
        return
    for number in pyplot.get_fignums() if is_saved else []:
        figure = pyplot.figure(number)
        if not getattr(figure, "_is_saved", False):
            figure.savefig(_free_name())
    pyplot.close("all")


def _replace_show(pyplot: Any) -> None:
    savefig = pyplot.Figure.savefig

    def savefig_and_remember(figure: Any, *arguments: Any, **options: Any) -> Any:
        figure._is_saved = True
        return savefig(figure, *arguments, **options)

    def show(*_: Any, **__: Any) -> None:
        finish(is_saved=True)

    pyplot.Figure.savefig = savefig_and_remember
    pyplot.show = show


def _free_name() -> str:
    number = 1
    while os.path.exists(f"figure_{number}.png"):
        number += 1
    return f"figure_{number}.png"
