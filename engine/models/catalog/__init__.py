"""The recommended models: their facts (catalog.toml), their ranking for a machine, and the comparison of both with the hub."""

from .effort import for_effort
from .entry import Architecture, CatalogEntry, Sampling, catalog, entry_of, parse_catalog, smaller_sibling
from .ranking import Reason, Recommendation, SizeAdvice, default_choice, recommend, top

__all__ = [
    "Architecture",
    "CatalogEntry",
    "Reason",
    "Recommendation",
    "Sampling",
    "SizeAdvice",
    "catalog",
    "default_choice",
    "entry_of",
    "for_effort",
    "parse_catalog",
    "recommend",
    "smaller_sibling",
    "top",
]
