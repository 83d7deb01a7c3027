"""Models: names, catalog, memory estimates, quantization, loading and saving."""

from .catalog import CatalogEntry, Recommendation
from .estimate import QuantizationFit
from .memory import Verdict
from .quantization import QuantizationChoice
from .resolve import may_be_repo, names_a_model
from .saved import SavedModel

__all__ = [
    "CatalogEntry",
    "QuantizationChoice",
    "QuantizationFit",
    "Recommendation",
    "SavedModel",
    "Verdict",
    "may_be_repo",
    "names_a_model",
]
