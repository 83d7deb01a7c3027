"""Log-probabilities of given tokens under the loaded model, window by window. Nothing is generated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InvalidRequest
from ..measure.control import Control, MeasurementStep

if TYPE_CHECKING:
    from ...runtime.active_model import ActiveModel

MAX_WINDOW = 1024       # tokens of one forward pass: visitors wait for it
MAX_TEXT_CHARS = 20_000_000


@dataclass(frozen=True, slots=True)
class TextPlan:
    """How a text is split: windows of `window` tokens, each `stride` after the one before. At most `max_tokens` are read.

    window 0: the model's full window, at most 1,024. stride 0: half a window.
    """

    window: int = 0
    stride: int = 0
    max_tokens: int = 16_384

    def __post_init__(self) -> None:
        for name, low in (("window", 0), ("stride", 0), ("max_tokens", 2)):
            if getattr(self, name) < low:
                raise InvalidRequest(name, getattr(self, name), f"at least {low}")
        if self.window == 1 or (self.window and self.stride > self.window):
            raise InvalidRequest("stride", self.stride, "at most the window, which has at least 2 tokens")

    def sizes(self, active_model: ActiveModel) -> tuple[int, int]:
        """Window and stride in tokens of the text: the tokens that the model expects before every text also need room."""
        room = active_model.window_tokens - len(active_model.first_ids)
        if self.window > room:
            raise InvalidRequest("window", self.window, f"at most {room:,}, which this model reads at once")
        window = self.window or min(MAX_WINDOW, room)
        return window, min(self.stride or max(1, window // 2), window)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one window scores: `ids` (n,), `log_probs` (n, vocabulary) in float32, on the CPU."""

    ids: Any
    log_probs: Any

    @property
    def losses(self) -> Any:
        """Negative log-probability of each token, in nats: (n,)."""
        return -self.log_probs.gather(1, self.ids[:, None])[:, 0]


def tokens_of(active_model: ActiveModel, text: str, limit: int) -> list[int]:
    """Return the first `limit` ids of a text, without special tokens. Raises InvalidRequest for a text of fewer than two."""
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidRequest("text", f"{len(text):,} characters", f"at most {MAX_TEXT_CHARS:,} characters")
    ids = active_model.encode(text)[:limit]
    if len(ids) < 2:
        raise InvalidRequest("text", f"{len(ids)} tokens", "at least 2 tokens")
    return ids


def scored(active_model: ActiveModel, ids: Sequence[int], plan: TextPlan, control: Control) -> Iterator[Chunk]:
    """Score every token but the first, once, in order: each after all tokens before it in its window.

    The first window scores all its tokens but the first; each further one only those that the previous window did not reach, so
    that each follows at least window - stride tokens. A begin-of-sequence token, where the model has one, comes before every window.
    Raises JobStopped.
    """
    import torch

    window, stride = plan.sizes(active_model)
    first = active_model.first_ids
    begin, reached = 0, 1
    while reached < len(ids):
        end = min(begin + window, len(ids))
        control.step(MeasurementStep("quality", reached, len(ids)))
        yield Chunk(torch.tensor(ids[reached:end]), _predictions(active_model, [*first, *ids[begin:end]], end - reached))
        reached, begin = end, begin + stride


def log_likelihood(active_model: ActiveModel, context: str, continuation: str, control: Control) -> float:
    """Sum of the log-probabilities of the tokens of `continuation` after `context`, in nats.

    Spaces at the end of the context go to the continuation, and both are tokenized as one text and then cut, as in lm-eval
    (its TemplateLM._encode_pair). The beginning of a context that is too long is cut off.
    """
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    start = active_model.encode(context)
    whole = active_model.encode(context + continuation)
    new = whole[len(start):]
    first = list(active_model.first_ids)
    if not (first or start) or not new:
        raise InvalidRequest("prompt", context[:60], "some text before an answer of some text")
    ids = first + (start + new)[-(active_model.window_tokens - len(first)):]
    if len(new) >= len(ids):
        raise InvalidRequest("answer", f"{len(new):,} tokens", f"fewer than the {active_model.window_tokens:,} of the window")
    return _sum_of_last(active_model, ids, len(new), control)


def _sum_of_last(active_model: ActiveModel, ids: list[int], count: int, control: Control) -> float:
    import torch

    control.check()
    return float(-Chunk(torch.tensor(ids[-count:]), _predictions(active_model, ids, count)).losses.sum())


def _predictions(active_model: ActiveModel, ids: list[int], count: int) -> Any:
    """Log-probabilities for each of the last `count` ids after those before it: (count, vocabulary), float32, on the CPU."""
    import torch

    with active_model.alone() as loaded, torch.no_grad():
        logits = loaded.model(input_ids=torch.tensor([ids], device=loaded.model.device), use_cache=False).logits[0]
        return torch.log_softmax(logits[-count - 1: -1].float(), dim=-1).cpu()


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and its standard error: sample deviation over the root of n; tokens are taken as independent."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, 0.0
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
