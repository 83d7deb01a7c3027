"""Undocumented parts of lm-eval and evaluate that the engine uses, each with the reason. Both are optional.

tests/engine/compat/test_lm_eval.py checks every use against the installed version.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any


def replace_metric_loader(load: Callable[..., Any]) -> None:
    """Call `load` in place of evaluate.load(), which downloads a metric's source from the Hub and runs it. No setting turns this off."""
    library: Any = import_module("evaluate")
    library.load = load


def borrowed_model(model: Any, tokenizer: Any, window_tokens: int, turn: Callable[[], AbstractContextManager[Any]]) -> Any:
    """lm-eval's HFLM around a loaded model. Each computation runs inside `turn()`: HFLM has no public hook for this."""
    base: Any = import_module("lm_eval.models.huggingface").HFLM

    class Borrowed(base):       # type: ignore[misc]
        def _model_call(self, *args: Any, **kwargs: Any) -> Any:
            with turn():
                return super()._model_call(*args, **kwargs)

        def _model_generate(self, *args: Any, **kwargs: Any) -> Any:
            with turn():
                return super()._model_generate(*args, **kwargs)

    return Borrowed(pretrained=model, tokenizer=tokenizer, batch_size=1, max_length=window_tokens, trust_remote_code=False)
