"""Remedies for a failed load or download, as data. The page shows each as a button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import (
    DiskFull,
    DownloadBroken,
    HubOffline,
    HubUnreachable,
    ModelAccessDenied,
    NotEnoughMemory,
    TokenRejected,
    UnsupportedModel,
    UnsupportedQuantization,
)
from ..models.catalog import smaller_sibling
from ..models.estimate import ModelFit, QuantizationFit
from ..models.memory import Verdict
from ..models.quantization import Quantization

RemedyKind = Literal["quantize", "context", "sibling", "force", "token", "revision", "retry", "disk"]
USEFUL_CONTEXT = 512            # too few tokens for a chat below this


@dataclass(frozen=True, slots=True)
class Remedy:
    """`value`: a quantization, tokens, a repository or a revision, as text."""

    kind: RemedyKind
    value: str = ""


def too_large(model: str, quantization: Quantization, fit: ModelFit, *, is_public: bool) -> tuple[Remedy, ...]:
    """Return a stronger quantization that fits, a smaller context, a smaller model of the family, and last, loading it anyway."""
    stronger = [choice.quantization for choice in fit.choices if choice.is_supported and choice.fit.verdict is not Verdict.TOO_LARGE
                and _is_stronger(choice.quantization, quantization)]
    # Of the fewest bits, the first, which is the faster one on this machine.
    found = [Remedy("quantize", min(stronger, key=lambda each: each.bits).value)] if stronger else []
    chosen = choice_of(fit, quantization)
    if chosen is not None and USEFUL_CONTEXT <= chosen.largest_context < fit.context_tokens:
        found.append(Remedy("context", str(chosen.largest_context)))
    sibling = smaller_sibling(model)
    if sibling is not None:
        found.append(Remedy("sibling", sibling.repo))
    return (*found, *([] if is_public else [Remedy("force")]))


def remedies(error: BaseException, model: str, quantization: Quantization, fit: ModelFit | None, *, is_public: bool,
             other_revision: str | None = None, base_model: str = "") -> tuple[Remedy, ...]:
    """Return the remedies for `error`; empty if none is known. `base_model`: what the model was made of, which may be loadable."""
    match error:
        case NotEnoughMemory() if fit is not None:
            return too_large(model, quantization, fit, is_public=is_public)
        case UnsupportedQuantization():
            return (Remedy("quantize", Quantization.NONE.value),)
        case ModelAccessDenied() | TokenRejected():
            return (Remedy("token"),)
        case UnsupportedModel() if other_revision:
            return (Remedy("revision", other_revision),)
        case UnsupportedModel() if base_model:
            return (Remedy("sibling", base_model),)
        case DiskFull() | HubOffline():
            return (Remedy("disk"),)
        case HubUnreachable() | DownloadBroken():
            return (Remedy("retry"),)
        case _:
            return ()


def choice_of(fit: ModelFit, quantization: Quantization) -> QuantizationFit | None:
    return next((choice for choice in fit.choices if choice.quantization is quantization), None)


def _is_stronger(one: Quantization, other: Quantization) -> bool:
    order = list(Quantization)
    return order.index(one) > order.index(other)
