"""What this machine can run: its hardware, the models that suit it, and whether a given model fits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..hardware import Hardware, detect
from ..models.bandwidth import copy_bandwidth
from ..models.catalog import Recommendation, recommend
from ..models.estimate import ModelFit, estimate_shape, measured_peaks
from ..models.quantization import Quantization, QuantizationChoice
from ..pipelines import WINDOW
from ..runtime.engine import Engine
from .found_model import FoundModel
from .remedies import Remedy, remedies, too_large


@dataclass(frozen=True, slots=True)
class Machine:
    """`bandwidth`: measured while copying memory, in bytes per second."""

    name: str
    kind: str
    total_bytes: int
    free_bytes: int
    bandwidth: float
    quantizations: tuple[QuantizationChoice, ...]
    devices: tuple[str, ...] = ()       # to choose from


class Estimates:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def machine(self) -> Machine:
        hardware = self._engine.hardware
        return Machine(hardware.name, hardware.kind, hardware.total_bytes, self._free_bytes(hardware), copy_bandwidth(hardware),
                       self._engine.quantization_choices(), (hardware.kind,) if hardware.kind == "cpu" else (hardware.kind, "cpu"))

    def recommended(self, context_tokens: int, visitors: int, use: str, language: str) -> tuple[Recommendation, ...]:
        supported = [choice.quantization for choice in self._engine.quantization_choices() if choice.is_supported]
        hardware = self._engine.hardware
        return recommend(hardware, self._free_bytes(hardware), context_tokens=context_tokens, concurrent=visitors, supported=supported,
                         use=use, language=language)

    def fit(self, model: FoundModel, context_tokens: int, visitors: int, device: str = "") -> ModelFit | None:
        if model.shape is None:
            return None
        hardware = self._hardware(device)
        context_tokens, visitors = (WINDOW, 1) if model.tasks else (context_tokens, visitors)
        found = estimate_shape(model.shape, hardware, context_tokens=context_tokens, visitors=visitors,
                               free_bytes=self._free_bytes(hardware), model=model.spec_model,
                               measured=measured_peaks(model.spec_model, self._engine.settings, hardware))
        return replace(found, choices=found.choices[:1]) if model.tasks else found      # loaded as they are stored

    def _hardware(self, device: str) -> Hardware:
        own = self._engine.hardware
        return own if device in ("", "auto", own.kind) else detect(device)

    def _free_bytes(self, hardware: Hardware) -> int:
        """Return the memory for a new model after the loaded one is unloaded."""
        return hardware.free_bytes() + (self._engine.held_bytes if hardware.kind == self._engine.hardware.kind else 0)

    def remedies(self, error: BaseException | None, model: FoundModel, quantization: Quantization, context_tokens: int,
                 visitors: int, device: str = "") -> tuple[Remedy, ...]:
        fit, is_public = self.fit(model, context_tokens, visitors, device), self._engine.settings.is_public
        other = model.listing.safetensors_revision if model.listing else None
        if error is not None:
            found = remedies(error, model.spec_model, quantization, fit, is_public=is_public, other_revision=other,
                             base_model=model.listing.base_model if model.listing else "")
        else:
            found = too_large(model.spec_model, quantization, fit, is_public=is_public) if fit else ()
        return tuple(remedy for remedy in found if remedy.kind != "force" or model.can_load_as(quantization))
