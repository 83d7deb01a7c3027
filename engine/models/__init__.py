"""Which model: its spec, shape, memory estimate, catalog, quantization, loading."""

from .catalog import CatalogEntry, Recommendation
from .estimate import QuantizationFit
from .memory import Verdict
from .quantization import QuantizationChoice
from .saved import SavedModel

__all__ = [
    "CatalogEntry",
    "QuantizationChoice",
    "QuantizationFit",
    "Recommendation",
    "SavedModel",
    "Verdict",
]
