"""What the options of a plan stand for where they are None: the learning rate and the longest example."""

from __future__ import annotations

import math
from dataclasses import replace

from ..errors import InvalidRequest
from .plan import HEADED, FineTunePlan, Method, Task, TrainingOptions

# At a width of 4,096, as published for models of 7 B parameters: LoRA 2e-4 (QLoRA, arXiv 2305.14314, table 9), full 2e-5 (Taori et al.
# 2023, Alpaca). Narrower models take larger steps: with the root of the width, this gives 4.6e-5 for BERT, whose authors used 2e-5 to 5e-5.
RATES: dict[Method, float] = {"lora": 2e-4, "qlora": 2e-4, "full": 2e-5}
RATE_WIDTH = 4096
HEADED_LORA = 2.5       # times that rate: its head begins with random weights
TOKENS: dict[Task, int] = {"text-classification": 256, "token-classification": 256, "question-answering": 384, "chat": 1024, "text": 512}
SMALLEST_TOKENS = 8


def learning_rate(plan: FineTunePlan, width: int) -> float:
    if plan.options.learning_rate is not None:
        return plan.options.learning_rate
    rate = RATES[plan.method] * math.sqrt(RATE_WIDTH / max(1, width))
    return float(f"{rate * (HEADED_LORA if plan.task in HEADED and plan.method != 'full' else 1):.2g}")


def max_tokens(plan: FineTunePlan, window: int) -> int:
    return min(plan.options.max_tokens or TOKENS[plan.task], window)


def complete(plan: FineTunePlan, width: int, window: int) -> FineTunePlan:
    """The plan with every option filled in. `width`: hidden size of the model, `window`: its positions."""
    return replace(plan, options=replace(plan.options, learning_rate=learning_rate(plan, width), max_tokens=max_tokens(plan, window)))


def require_valid(plan: FineTunePlan) -> None:
    """Raises InvalidRequest for options with impossible values, and for methods that do not suit the task."""
    options: TrainingOptions = plan.options
    limits: tuple[tuple[str, float | None, float, float], ...] = (
        ("epochs", options.epochs, 0.001, 1000), ("learning_rate", options.learning_rate, 1e-9, 1),
        ("batch_size", options.batch_size, 1, 1024),
        ("max_tokens", options.max_tokens, SMALLEST_TOKENS, 1_000_000), ("lora_rank", options.lora_rank, 1, 512),
        ("lora_alpha", options.lora_alpha, 1, 4096), ("weight_decay", options.weight_decay, 0, 1),
        ("warmup_share", options.warmup_share, 0, 1), ("evaluations", options.evaluations, 1, 100), ("patience", options.patience, 0, 100),
        ("seed", options.seed, 0, 2**31 - 1), ("test_share", plan.test_share, 0, 0.5))
    for name, value, low, high in limits:
        if value is not None and not low <= value <= high:       # also NaN
            raise InvalidRequest(name, value, f"{low:g} to {high:g}")
    if plan.method == "qlora" and plan.task in HEADED:
        raise InvalidRequest("method", "qlora", "lora or full for this task: models with a head of their own are trained in full precision")
    if plan.base.is_remote or plan.base.adapter:
        raise InvalidRequest("base", plan.base.name, "a model on this machine or on the hub, without an adapter")
