"""State of one page's Models tab: the search, the shown model, and the options to load it with."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine import LoadOptions, Quantization, Secret
from engine.errors import UnsupportedModel
from engine.hub import HubModel, HubQuery
from engine.library import FoundModel, ServerAnswer

CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
FIRST_RECOMMENDED = 8
MAX_CHATS = 64
TASKS = "tasks"         # models that do not chat
USES = ("chat", "code", "reasoning", TASKS)


@dataclass
class ModelsSession:
    """Kept in the page's gr.State, so only in memory. `token` is the one that the visitor entered here."""

    token: Secret = field(default_factory=lambda: Secret(""))
    query: HubQuery | None = None
    found: list[HubModel] = field(default_factory=list)
    has_more: bool = False
    num_recommended: int = FIRST_RECOMMENDED
    use: str = USES[0]          # what the recommended models are for
    model: FoundModel | None = None
    quantization: Quantization = Quantization.NONE
    context_tokens: int = 4096
    visitors: int = 2
    device: str = ""            # "": the engine's choice
    stops_replies: bool = False
    problem: Exception | None = None
    is_open: bool = False       # whether the tab has been opened
    server: ServerAnswer | None = None          # what the server that was asked last offers
    server_problem: Exception | None = None
    made_key: str = ""          # of the API, shown once
    operation_problem: Exception | None = None
    asked: str = ""             # what was entered or chosen last, for another attempt

    @property
    def context(self) -> int:
        """The chosen context length, at most the model's own."""
        shape = self.model.shape if self.model else None
        return min(self.context_tokens, shape.max_window) if shape else self.context_tokens

    @property
    def trouble(self) -> Exception | None:
        """The latest error, else the reason why the model cannot be downloaded or loaded. A model on disk needs no hub."""
        if self.problem is not None or self.model is None:
            return self.problem
        can_load = self.model.can_load_as(self.quantization) and not isinstance(self.model.problem, UnsupportedModel)
        return None if can_load else self.model.problem

    def choose_options(self, quantization: str, context: int, visitors: float | None, device: str | None, stops_replies: bool) -> None:
        """Store the values of the components. Values that the components do not offer are ignored."""
        self.quantization = Quantization(quantization) if quantization in list(Quantization) else self.quantization
        if context and int(context) != self.context:        # otherwise a model with a small context window would overwrite the choice
            self.context_tokens = int(context)
        self.device = device or ""
        self.visitors = max(1, min(MAX_CHATS, int(visitors))) if visitors else self.visitors
        self.stops_replies, self.problem = bool(stops_replies), None

    def options(self, *, is_forced: bool = False) -> LoadOptions:
        return LoadOptions(self.context, self.visitors, self.device, drain="stop" if self.stops_replies else "finish", is_forced=is_forced)
