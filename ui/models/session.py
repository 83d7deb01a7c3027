"""What one page's Models tab holds: what it looked for, what it looks at, how it would load it."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine import LoadOptions, Quantization, Secret
from engine.errors import UnsupportedModel
from engine.hub import HubModel, HubQuery
from engine.library import FoundModel

CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
FIRST_RECOMMENDED = 8


@dataclass
class ModelsSession:
    """Of one page; lives in its gr.State, and so in memory only. `token` is what this visitor typed."""

    token: Secret = field(default_factory=lambda: Secret(""))
    query: HubQuery | None = None
    found: list[HubModel] = field(default_factory=list)
    has_more: bool = False
    num_recommended: int = FIRST_RECOMMENDED
    model: FoundModel | None = None
    quantization: Quantization = Quantization.NONE
    context_tokens: int = 4096
    visitors: int = 2
    device: str = ""            # "": the engine's own
    stops_replies: bool = False
    problem: Exception | None = None
    is_open: bool = False       # whether the tab was looked at
    asked: str = ""             # what was typed or chosen last, for trying again

    @property
    def context(self) -> int:
        """Tokens that are asked for, at most what this model was made for."""
        shape = self.model.shape if self.model else None
        return min(self.context_tokens, shape.max_window) if shape else self.context_tokens

    @property
    def trouble(self) -> Exception | None:
        """What just failed, else what keeps the model from being had. What is on disk needs no hub."""
        if self.problem is not None or self.model is None:
            return self.problem
        is_had = self.model.can_load_as(self.quantization) and not isinstance(self.model.problem, UnsupportedModel)
        return None if is_had else self.model.problem

    def options(self, *, is_forced: bool = False) -> LoadOptions:
        return LoadOptions(self.context, self.visitors, self.device, drain="stop" if self.stops_replies else "finish", is_forced=is_forced)
