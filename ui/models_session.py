"""What one page's Models tab holds: what it looked for, what it looks at, how it would load it."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine import FoundModel, HubModel, HubQuery, LoadOptions, Quantization, Secret

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
    stops_replies: bool = False
    problem: Exception | None = None
    is_open: bool = False       # whether the tab was looked at
    asked: str = ""             # what was typed or chosen last, for trying again

    def options(self, *, is_forced: bool = False) -> LoadOptions:
        return LoadOptions(self.context_tokens, self.visitors, drain="stop" if self.stops_replies else "finish", is_forced=is_forced)

    def look_at(self, model: FoundModel | None) -> None:
        self.model, self.problem = model, None
        window = model.shape.max_window if model and model.shape else 0
        if window and self.context_tokens > window:
            self.context_tokens = window
