"""The mean loss of a whole batch that is computed in parts: the sum over one part by the number of labels of the batch.

The Trainer expects the same of a model's own loss, but the heads of many families give the mean over their part. The Trainer counts the
labels of all parts, and gives the number to these functions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from ..encoded import IGNORED


def class_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor:
    """Cross-entropy of classes. `labels`: one for each row, or one for each token, shape (rows) or (rows, tokens)."""
    total = functional.cross_entropy(outputs["logits"].flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / (labels.ne(IGNORED).sum() if num_items_in_batch is None else num_items_in_batch)


def span_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor:
    """Cross-entropy of the first and of the last token of an answer, the mean of both. `labels`: those tokens, shape (rows, 2)."""
    total = sum(functional.cross_entropy(outputs[name].float(), labels[:, at], reduction="sum")
                for at, name in enumerate(("start_logits", "end_logits")))
    assert isinstance(total, torch.Tensor)
    return total / (labels.numel() if num_items_in_batch is None else num_items_in_batch)
