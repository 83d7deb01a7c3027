"""What to load, how to load it, and the events of a load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import InvalidRequest, gib
from ..hardware import DType
from ..settings import BUILTIN, Settings
from .quantization import Quantization
from .resolve import is_path_like

Stage = Literal["download", "config", "unload", "tokenizer", "weights", "warm-up", "restore", "ready"]
Drain = Literal["finish", "stop"]
Report = Callable[["LoadEvent"], None]
REMOTE = "remote:"      # begins the name of a model on another server; that of its connection follows
MIN_CONTEXT, MAX_CONTEXT, MAX_VISITORS = 64, 1_000_000, 256


def split_revision(adapter: str) -> tuple[str, str | None]:
    """The folder or the name on the hub, and the revision of an adapter."""
    name, _, revision = (adapter, "", "") if is_path_like(adapter) else adapter.partition("@")
    return name, revision or None


def adapter_name(adapter: str) -> str:
    """What replies and people call it: name, or name@revision."""
    name, revision = split_revision(adapter)
    return f"{Path(name).name}@{revision}" if revision else Path(name).name


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What to load; equal specs are the same model. `model`: "builtin", a folder, owner/name on the hub, or remote: and a connection.

    `adapter`: a folder, or a name on the hub, also owner/name@revision; the model's replies use it unless they say otherwise. The name of
    an adapter in the place of the model stands for its base and itself.
    `task`: of a model that does not chat (checkpoint/tasks.py); "" for one that does.
    A GGUF file is a model of its own: its path, or owner/name/file.gguf. `quantization`: with none, weights that are stored quantized are
    kept as they are where this machine has kernels for them.
    """

    model: str = BUILTIN
    revision: str | None = None
    quantization: Quantization = Quantization.NONE
    adapter: str | None = None
    dtype: DType | Literal["auto"] = "auto"
    task: str = ""

    @property
    def name(self) -> str:
        if self.is_remote:
            return self.model.removeprefix(REMOTE)
        base = "Built-in guide" if self.model == BUILTIN else Path(self.model).name
        return f"{base} + {adapter_name(self.adapter)}" if self.adapter else base

    @property
    def base(self) -> ModelSpec:
        """The same model without its adapter."""
        return replace(self, adapter=None)

    @property
    def is_remote(self) -> bool:
        """Whether the model is on another server."""
        return self.model.startswith(REMOTE)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load a model, which is not part of its identity. None and "" stand for the settings' values.

    `drain`: let running replies finish first (bounded by the settings), or stop them.
    `adapters`: others of the same base, which replies can choose by their names. `adapter_names`: the names, in the same order, of those
    that were loaded before; one of these that is not there any more is left out.
    `is_forced`: load although the estimate says that the model does not fit; refused in public mode.
    """

    context_tokens: int | None = None
    visitors: int | None = None         # number of full windows that the cache is sized for
    device: str = ""
    drain: Drain = "finish"
    is_forced: bool = False
    adapters: tuple[str, ...] = ()
    adapter_names: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """Of the adapters that were loaded before, by their sources."""
        return dict(zip(self.adapters, self.adapter_names, strict=False))

    def applied_to(self, settings: Settings) -> Settings:
        """The settings of one load. Raises InvalidRequest."""
        context, visitors = self.context_tokens or settings.context_tokens, self.visitors or settings.concurrent_replies
        if not MIN_CONTEXT <= context <= MAX_CONTEXT:
            raise InvalidRequest("context", context, f"{MIN_CONTEXT} to {MAX_CONTEXT:,} tokens")
        if not 1 <= visitors <= MAX_VISITORS:
            raise InvalidRequest("visitors", visitors, f"1 to {MAX_VISITORS}")
        if self.is_forced and settings.is_public:
            raise InvalidRequest("is_forced", True, "left out on a public page")
        return replace(settings, context_tokens=context, concurrent_replies=visitors, device=self.device or settings.device)


@dataclass(frozen=True, slots=True)
class Released:
    """Result of an unload: the size the model was counted at, the memory that came back, and the time it took."""

    expected_bytes: int
    returned_bytes: int
    seconds: float

    @property
    def sentence(self) -> str:
        return f"Freed {gib(self.returned_bytes)} of {gib(self.expected_bytes)} in {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class LoadEvent:
    """One step of a load: `done` of `total` units of `stage` (files, tensors, bytes). `note`: a sentence for people.

    `released`: in the last event of the stage "unload".
    """

    stage: Stage
    done: int = 0
    total: int = 0
    note: str = ""
    seconds: float = 0.0
    released: Released | None = None
