"""The Hugging Face Hub: search, describe, download, what is on disk."""

from .datasets import DatasetNotFound, DatasetPart, HubDataset
from .hub import HubFile, HubListing, HubModel, HubQuery, StoredModel, parse_model_name

__all__ = [
    "DatasetNotFound",
    "DatasetPart",
    "HubDataset",
    "HubFile",
    "HubListing",
    "HubModel",
    "HubQuery",
    "StoredModel",
    "parse_model_name",
]
