"""The Hugging Face Hub: search, describe, download, what is on disk."""

from .hub import HubFile, HubListing, HubModel, HubQuery, StoredModel, parse_model_name

__all__ = [
    "HubFile",
    "HubListing",
    "HubModel",
    "HubQuery",
    "StoredModel",
    "parse_model_name",
]
