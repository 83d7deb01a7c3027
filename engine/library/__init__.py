"""From a model name to a loaded model: find, check the fit, download, load, delete."""

from .found import FoundModel, Machine, Visitor
from .remedies import Remedy, choice_of

__all__ = [
    "FoundModel",
    "Machine",
    "Remedy",
    "Visitor",
    "choice_of",
]
