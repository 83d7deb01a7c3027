"""Sampling in the batched lane: each reply with its own temperature, top-k and top-p, in one pass.

Replaces transformers' chain of logits processors, which sorts the vocabulary twice per step even for greedy replies and chooses
randomly among equal logits. Here, a greedy token is the argmax, as in generate(); a sampled token is the argmax of the logits plus
Gumbel noise, which is equivalent to sampling from their softmax (Gumbel 1954; Maddison et al., arXiv 1411.0030).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import LogitsProcessorList

from ..compat.continuous_batching import ContinuousBatchingLogitsProcessorList, FutureRequestState
from ..messages import GenerationOptions

ROWS = 3        # temperature and top_p (float32 stored as int32), top_k


def sampling_arguments(options: GenerationOptions) -> dict[str, Any]:
    """The sampling arguments of a request. Temperature 0 means greedy; top_k 0 and top_p 1 mean off."""
    if options.is_greedy:
        return {"temperature": 0.0, "top_k": 0, "top_p": 1.0}
    return {"temperature": float(options.temperature), "top_k": options.top_k, "top_p": float(options.top_p)}


class BatchedSampling(ContinuousBatchingLogitsProcessorList):      # type: ignore[misc]
    """Takes the place of the manager's logits processors. Stateless: the arguments are part of the batch."""

    def __init__(self) -> None:
        super().__init__(LogitsProcessorList())
        self.tensors_required = ROWS
        self.supported_keys = {"temperature": float, "top_k": int, "top_p": float}
        self.do_processing = True

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """int32_tensor: (ROWS, 1). Unused rows of a batch are greedy."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_in_batch: list[FutureRequestState], arg_storage: torch.Tensor) -> torch.Tensor:
        """Write the arguments of the requests that get a new token into arg_storage: (ROWS, requests), int32."""
        kwargs = [request.state.logit_processor_kwargs for request in requests_in_batch if request.has_new_token]
        rows = torch.stack([
            torch.tensor([values["temperature"] for values in kwargs], dtype=torch.float32).view(torch.int32),
            torch.tensor([values["top_p"] for values in kwargs], dtype=torch.float32).view(torch.int32),
            torch.tensor([values["top_k"] for values in kwargs], dtype=torch.int32)])
        arg_storage[:, : rows.shape[1]] = rows.to(arg_storage.device)
        return arg_storage

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, logits_processor_args: torch.Tensor) -> torch.Tensor:
        """Scores whose argmax is the next token. scores: (requests, vocabulary), fp32."""
        arguments = logits_processor_args[:, : scores.shape[0]]
        temperature = arguments[0].view(torch.float32)
        drawn = temperature > 0
        if not bool(drawn.any()):
            return scores
        top_p, top_k = arguments[1].view(torch.float32)[drawn], arguments[2][drawn]
        logits = keep_likely(scores[drawn] / temperature[drawn, None], top_k, top_p)
        noise = -torch.log(torch.empty_like(logits).exponential_().clamp_min(torch.finfo(logits.dtype).tiny))
        result = scores.clone()
        result[drawn] = logits + noise
        return result


def keep_likely(logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Minus infinity for tokens outside top-k or the nucleus of top-p. logits: (n, vocabulary); top_k, top_p: (n,)."""
    if not bool((top_k > 0).any()) and not bool((top_p < 1).any()):
        return logits
    ordered, order = torch.sort(logits, dim=-1, descending=True)
    rank = torch.arange(ordered.shape[-1], device=logits.device)[None]
    outside_k = (top_k[:, None] > 0) & (rank >= top_k[:, None])
    ordered = ordered.masked_fill(outside_k, float("-inf"))
    share = ordered.softmax(-1)
    before = share.cumsum(-1) - share       # probability of all likelier tokens; 0 for the first, which is always kept
    outside_p = (before >= top_p[:, None]) & (top_p[:, None] < 1) & (rank > 0)
    outside = (outside_k | outside_p).scatter(-1, order, outside_k | outside_p)
    return logits.masked_fill(outside, float("-inf"))
