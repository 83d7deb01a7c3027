"""Perplexity of a model on a text, and the divergence of a quantized model from the same model without quantization."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DiskFull, InvalidRequest
from ...models.quantization import Quantization
from ...models.spec import LoadOptions, ModelSpec
from ..measure.control import Control, MeasurementStep
from ..measure.loading import load_model
from ..measure.subject import Subject
from ..store.scores import Score
from .likelihood import Chunk, TextPlan, mean_and_error, scored, tokens_of

if TYPE_CHECKING:
    from ...runtime.engine import Engine

TEXT = "text"       # name of the task of a plain text
COST_TOKENS = 4096  # of one comparison: 2 bytes x vocabulary each on disk, 1.2 GB for a vocabulary of 150,000


def measure_perplexity(engine: Engine, text: str, plan: TextPlan | None = None, control: Control | None = None, *,
                       task: str = TEXT) -> Score:
    """exp of the mean negative log-probability per token, over all tokens but the first, in sliding windows.

    The formula of huggingface.co/docs/transformers/perplexity, with every token counted once. The standard error is that of
    the mean, times the perplexity (delta method). Raises JobStopped, NoModelLoaded, EngineBusy, InvalidRequest.
    """
    plan, control = plan or TextPlan(), control or Control()
    with engine.using() as active_model:
        ids = tokens_of(active_model, text, plan.max_tokens)
        losses: list[float] = []
        for chunk in scored(active_model, ids, plan, control):
            losses += chunk.losses.tolist()
        window, stride = plan.sizes(active_model)
    return perplexity_of(losses, task, f"window {window}, stride {stride}")


def perplexity_of(losses: list[float], task: str, note: str = "") -> Score:
    mean, error = mean_and_error(losses)
    value = math.exp(mean)
    return Score(task, "perplexity", value, value * error, len(losses), higher_is_better=False, note=note)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one quantization on a text: its perplexity, and how its predictions differ from the reference's.

    Divergence: KL(reference || quantized) in nats per token. Agreement: how often both predict the same token.
    """

    quantization: Quantization
    perplexity: Score
    divergence: Score
    agreement: Score

    @property
    def scores(self) -> tuple[Score, ...]:
        return (self.perplexity, self.divergence, self.agreement)


class Reference:
    """Predictions of one model for one text, stored in files in float16: 2 bytes x vocabulary per token."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self.ids: list[int] = []
        self.plan = TextPlan()      # with the sizes that were used

    def add(self, chunk: Chunk) -> None:
        import torch

        torch.save(chunk.log_probs.half(), self._folder / f"{self._count}.pt")
        self._count += 1

    def __iter__(self) -> Iterator[Any]:
        import torch

        for number in range(self._count):
            yield torch.load(self._folder / f"{number}.pt", weights_only=True)


@contextmanager
def reference_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mindcubes-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare_quantizations(engine: Engine, model: str, quantizations: tuple[Quantization, ...], text: str, control: Control,
                          plan: TextPlan | None = None) -> Iterator[tuple[Quantization, tuple[Score, ...]]]:
    """Scores without quantization, then of each of `quantizations`, on the same tokens. Leaves the last model loaded.

    Raises JobStopped, InvalidRequest, DiskFull, and what `Engine.load` raises.
    """
    plan = plan or TextPlan(max_tokens=COST_TOKENS)
    options = LoadOptions(visitors=1)
    with reference_folder() as folder:
        control.step(MeasurementStep("cell", subject=Subject.of(ModelSpec(model))))
        load_model(engine, ModelSpec(model), options, control)
        reference, score = keep_reference(engine, text, plan, folder, control)
        yield Quantization.NONE, (score,)
        for quantization in quantizations:
            spec = ModelSpec(model, quantization=quantization)
            control.step(MeasurementStep("cell", subject=Subject.of(spec)))
            load_model(engine, spec, options, control)
            yield quantization, measure_cost(engine, reference, control).scores


def keep_reference(engine: Engine, text: str, plan: TextPlan, folder: Path, control: Control) -> tuple[Reference, Score]:
    """Return the stored predictions of the loaded model, and its own perplexity. Raises DiskFull before anything is written."""
    reference = Reference(folder)
    losses: list[float] = []
    with engine.using() as active_model:
        reference.ids = tokens_of(active_model, text, plan.max_tokens)
        window, stride = plan.sizes(active_model)
        reference.plan = TextPlan(window, stride, plan.max_tokens)
        _require_disk(folder, 2 * len(reference.ids) * active_model.candidate.shape.vocab_size)
        for chunk in scored(active_model, reference.ids, plan, control):
            reference.add(chunk)
            losses += chunk.losses.tolist()
    return reference, perplexity_of(losses, TEXT)


def measure_cost(engine: Engine, reference: Reference, control: Control) -> Cost:
    """Compare the loaded model with the reference. Both sides are rounded to float16, so that equal models have no divergence.

    Raises JobStopped and InvalidRequest (another model, or a smaller window).
    """
    losses: list[float] = []
    divergences: list[float] = []
    same: list[float] = []
    with engine.using() as active_model:
        quantization = active_model.candidate.held
        for chunk, expected in zip(scored(active_model, reference.ids, reference.plan, control), reference, strict=True):
            if chunk.log_probs.shape != expected.shape:
                raise InvalidRequest("model", active_model.spec.name, "the same model as the reference")
            losses += chunk.losses.tolist()
            divergences += divergence(expected.float(), chunk.log_probs.half().float()).tolist()
            same += (expected.argmax(-1) == chunk.log_probs.half().argmax(-1)).float().tolist()
    mean, error = mean_and_error(divergences)
    agreed, spread = mean_and_error(same)
    return Cost(quantization, perplexity_of(losses, TEXT),
                Score(TEXT, "KL divergence", mean, error, len(divergences), higher_is_better=False, reference="none"),
                Score(TEXT, "same likeliest token", agreed, spread, len(same), reference="none"))


def divergence(expected: Any, found: Any) -> Any:
    """KL(expected || found) = sum p (log p - log q) per row, in nats. Both: log-probabilities, (n, vocabulary)."""
    return (expected.exp() * (expected - found).masked_fill(expected.isneginf(), 0.0)).sum(-1)


def _require_disk(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise DiskFull(needed_bytes, free)
