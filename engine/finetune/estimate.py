"""Memory, time and disk of a run before it starts, and what can be done if it does not fit.

Memory is the process, the weights, the adapter, gradients (4 bytes for each trained value), Adam's two moments (8; Kingma and Ba 2015),
what a step keeps for its backward pass, and logits: values for each token and each word of the vocabulary, twice in 32 bits
(the logarithms of the softmax, and their gradient). benchmarks/finetune.py measures how close this is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..benchmark.measure.limits import matrix_rate
from ..hardware import DType, Hardware
from ..models.memory import MIB, PACKER_BYTES, TIGHT_SHARE, Verdict
from ..models.quantization import Quantization
from .bases import Base
from .plan import HEADED, FineTunePlan, Method
from .run import Estimate, MemoryPart
from .sizes import Sizes
from .step_cost import StepCost, step_cost

# Measured by benchmarks/finetune.py on Linux, a CPU and torch 2.13; those for GPUs are orders of magnitude.
PROCESS_BYTES = {"cpu": 660 * MIB, "mps": 900 * MIB, "cuda": 700 * MIB}
GRADIENT_BYTES, ADAM_BYTES, LOGIT_COPIES = 4, 8, 2
FOREACH_BYTES = 4               # of each trained value on GPUs, where the optimizer updates all of them at once
HALF = 0.6                      # of what a step keeps in 32 bits, where most of it is in 16
# Of what is kept: gradients on their way, and memory of the C library between blocks in use, more with the small matrices of adapters.
HELD_SHARE: dict[Method, float] = {"full": 1.1, "lora": 1.45, "qlora": 1.45}
GPU_HELD_SHARE = 1.15
BACKWARD_LAYERS = 2             # layers whose activations exist twice while their gradients are computed, a half of each on average
RATE_SHARE = {"cpu": 1.0, "mps": 0.35, "cuda": 0.45}        # of a large product's speed that the products of a step reach
LAYER_S = {"cpu": 2e-3, "mps": 3e-3, "cuda": 2e-3}          # of each layer and step beside its products
START_S = {"cpu": 8.0, "mps": 15.0, "cuda": 25.0}          # importing libraries, loading, a first measurement
KEPT_CHECKPOINTS = 3            # the best, the newest, and one that is being written
CHECKPOINT_BYTES = 12           # of each trained value: itself and Adam's moments
RESULT_BYTES = 4                # of each trained value, where the result cannot be linked
WORKING_BYTES = 20 * MIB        # of disk: examples, log, events, tokenizer


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run may use. `held_bytes`: of the loaded chat model, which can be unloaded first."""

    hardware: Hardware
    free_bytes: int
    held_bytes: int
    free_disk_bytes: int


def estimate(plan: FineTunePlan, base: Base, sizes: Sizes, machine: Machine, labels: int = 2) -> Estimate:
    """`plan`: with every option filled in. The batch is divided, then activations are computed twice, only if that makes it fit."""
    cost = _cost(plan, base, sizes.longest, labels)
    options = plan.options
    most = machine.free_bytes + machine.held_bytes
    for micro, has_checkpointing in _ways(options.batch_size):
        parts = _parts(plan, base, cost, micro * sizes.longest, machine.hardware, has_checkpointing)
        if sum(part.bytes for part in parts) <= TIGHT_SHARE * most:
            break
    needed = sum(part.bytes for part in parts)
    must_unload, free, verdict = judge(needed, machine)
    trained = _trained(plan, base, cost)
    disk = disk_bytes(trained) + base.download_bytes
    steps = max(1, math.ceil(options.epochs * math.ceil(sizes.rows / options.batch_size)))
    found = Estimate(
        parts, free, _seconds(plan, base, sizes, cost, machine.hardware, steps * math.ceil(options.batch_size / micro), has_checkpointing),
        disk, machine.free_disk_bytes, verdict, "", must_unload, steps, sizes.tokens, base.shape.parameters + trained, trained, micro,
        has_checkpointing)
    if disk > machine.free_disk_bytes:
        return replace(found, remedy="free_disk")
    return found if verdict is Verdict.FITS else replace(found, remedy=_remedy(plan, base, sizes, machine, labels))


def disk_bytes(trained: int) -> int:
    """Of a run's folder. `trained`: values."""
    return (KEPT_CHECKPOINTS * CHECKPOINT_BYTES + RESULT_BYTES) * trained + WORKING_BYTES


def judge(needed: int, machine: Machine) -> tuple[bool, int, Verdict]:
    """Whether the chat model must be unloaded, the memory that is free then, and whether it holds what is needed. Bytes."""
    must_unload = needed > TIGHT_SHARE * machine.free_bytes and machine.held_bytes > 0
    free = machine.free_bytes + (machine.held_bytes if must_unload else 0)
    return must_unload, free, Verdict.TOO_LARGE if needed > free else Verdict.TIGHT if needed > TIGHT_SHARE * free else Verdict.FITS


def loading_bytes(plan: FineTunePlan, base: Base, hardware: Hardware) -> int:
    """Memory of the process while its weights are read, file pages included: what a measurement of a small run shows as its peak."""
    if hardware.kind != "cpu":
        return 0
    stored = base.shape.stored_bytes if base.shape.stored_dtype != "float32" else 0
    return PROCESS_BYTES["cpu"] + _weights(plan, base, hardware) + stored


def _cost(plan: FineTunePlan, base: Base, tokens: int, labels: int) -> StepCost:
    return step_cost(base.folder, base.shape, plan.task, plan.method, plan.options.lora_rank, labels, max(2, tokens))


def _ways(batch_size: int) -> list[tuple[int, bool]]:
    """The batch at once, then divided by each of its divisors, then one example with activations computed twice."""
    return [*((batch_size // parts, False) for parts in range(1, batch_size + 1) if batch_size % parts == 0), (1, True)]


def _parts(plan: FineTunePlan, base: Base, cost: StepCost, tokens: int, hardware: Hardware,
           has_checkpointing: bool) -> tuple[MemoryPart, ...]:
    """`tokens`: of all rows that are computed at once, each as long as the longest."""
    trained = _trained(plan, base, cost)
    own = 0 if plan.method == "full" else trained
    half = HALF if hardware.kind == "cuda" else 1.0
    kept = cost.input_bytes * base.shape.layers + cost.layer_bytes if has_checkpointing else cost.kept_bytes
    held = GPU_HELD_SHARE if hardware.kind == "cuda" else HELD_SHARE[plan.method]
    activations = held * tokens * half * (kept + BACKWARD_LAYERS * cost.layer_bytes / 2)
    logits = 0 if plan.task in HEADED else LOGIT_COPIES * 4 * tokens * base.shape.vocab_size
    moments = ADAM_BYTES + (FOREACH_BYTES if hardware.kind == "cuda" else 0)
    packer = PACKER_BYTES if plan.method == "qlora" else 0
    sizes = {"process": PROCESS_BYTES[hardware.kind] + packer, "weights": _weights(plan, base, hardware), "adapter": 4 * own,
             "gradients": GRADIENT_BYTES * trained, "optimizer": moments * trained, "activations": activations, "logits": logits}
    return tuple(MemoryPart(key, math.ceil(size)) for key, size in sizes.items())


def _weights(plan: FineTunePlan, base: Base, hardware: Hardware) -> int:
    """Frozen weights are in 16 bits on a GPU and in 32 on a CPU, as they are while all are trained. QLoRA: linear layers in NF4, and the
    largest of them expanded for a product; the rest in 32 bits."""
    shape = base.shape
    if plan.method == "qlora":
        packed = shape.linear_weights * Quantization.NF4.bytes_per_weight(hardware) + 4 * shape.largest_matrix
        return math.ceil(packed + 4 * shape.other_weights)
    return shape.parameters * (2 if hardware.kind == "cuda" and plan.method == "lora" and plan.task not in HEADED else 4)


def _trained(plan: FineTunePlan, base: Base, cost: StepCost) -> int:
    if plan.method != "full":
        return cost.adapter_values + cost.head_values
    return base.shape.parameters - base.shape.vision_weights + cost.head_values


def _seconds(plan: FineTunePlan, base: Base, sizes: Sizes, cost: StepCost, hardware: Hardware, micro_steps: int,
             has_checkpointing: bool) -> float:
    """Products at the measured speed of a large one, and a time for each layer and step beside them."""
    dtype: DType = hardware.dtype if hardware.kind == "cuda" else "float32"
    rate = RATE_SHARE[hardware.kind] * matrix_rate(hardware, dtype)
    options = plan.options
    train = sizes.tokens * options.epochs * (cost.flops + (cost.forward_flops if has_checkpointing else 0))
    measurements = 1 + max(1, round(options.epochs * options.evaluations)) if sizes.held_rows else 0
    held = sizes.held_tokens * measurements * cost.forward_flops
    layer_steps = base.shape.layers * (micro_steps * (4 if has_checkpointing else 3) + measurements * sizes.held_rows / options.batch_size)
    return START_S[hardware.kind] + (train + held) / rate + layer_steps * LAYER_S[hardware.kind] / 3


def _remedy(plan: FineTunePlan, base: Base, sizes: Sizes, machine: Machine, labels: int) -> str:
    """The first change that makes it fit; the batch is divided already."""
    methods: list[Method] = ["lora"] if plan.method == "full" else []
    if plan.task not in HEADED and plan.method != "qlora":
        methods.append("qlora")
    limit = TIGHT_SHARE * (machine.free_bytes + machine.held_bytes)

    def fits(changed: FineTunePlan, tokens: int) -> bool:
        rough = _cost(changed, replace(base, folder=None), tokens, labels)      # by formulas: counting takes seconds
        parts = _parts(changed, base, rough, tokens, machine.hardware, True)
        return sum(part.bytes for part in parts) <= limit

    for method in methods:
        if fits(replace(plan, method=method), sizes.longest):
            return method
    return "shorter_examples" if fits(plan, max(8, sizes.longest // 4)) else "smaller_model"
