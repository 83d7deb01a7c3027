"""The hardware of this machine: device, compute dtype, memory. Each choice comes with its reason."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from .errors import InvalidRequest

DType = Literal["bfloat16", "float16", "float32"]
DeviceKind = Literal["cuda", "mps", "cpu"]
BYTES_PER_VALUE: dict[DType, int] = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Hardware:
    """`total_bytes`: memory of the device that holds the weights: of all GPUs together, or of the machine."""

    kind: DeviceKind
    name: str
    count: int
    dtype: DType
    dtype_reason: str
    total_bytes: int
    is_x86_64: bool
    cores: int = 1      # CPU cores that this process may use
    is_lent: bool = False       # ZeroGPU: weights wait in this machine's memory; a GPU is lent for each reply

    @property
    def device(self) -> str:
        return "cuda:0" if self.kind == "cuda" else self.kind

    def free_bytes(self) -> int:
        """Bytes that a new model could use, measured at the moment of the call."""
        if self.kind == "cuda":
            import torch

            return sum(int(torch.cuda.mem_get_info(i)[0]) for i in range(self.count))
        return _free_ram_bytes()

    def used_bytes(self) -> int:
        """On GPUs, everything allocated there; on a CPU, the resident memory of this process."""
        if self.kind == "cuda":
            return self.total_bytes - self.free_bytes()
        return int(psutil.Process().memory_info().rss)


def detect(device: str = "auto") -> Hardware:
    """Detect the hardware. `device`: auto, cpu, cuda or mps.

    Raises InvalidRequest if this machine does not have the requested device.
    """
    import torch

    from .compat.torch import has_bfloat16_kernels

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    present = {"cpu": True, "cuda": has_cuda, "mps": has_mps}
    kind = ("cuda" if has_cuda else "mps" if has_mps else "cpu") if device == "auto" else device.split(":")[0]
    if not present.get(kind):
        raise InvalidRequest("device", device, "one of auto, " + ", ".join(name for name, here in present.items() if here))
    is_x86_64 = platform.machine().lower() in ("x86_64", "amd64")
    if kind == "cuda":
        count = torch.cuda.device_count()
        total = sum(torch.cuda.get_device_properties(i).total_memory for i in range(count))
        bf16 = torch.cuda.get_device_capability(0)[0] >= 8      # Ampere, the first generation with bf16 arithmetic
        reason = "this GPU computes in bfloat16" if bf16 else "this GPU is older than bfloat16"
        dtype: DType = "bfloat16" if bf16 else "float16"
        return Hardware("cuda", torch.cuda.get_device_name(0), count, dtype, reason, total, is_x86_64, _cores())
    if kind == "mps":
        return Hardware("mps", "Apple GPU", 1, "float16", "Apple GPUs are fastest in float16", _total_ram_bytes(), is_x86_64, _cores())
    bf16 = has_bfloat16_kernels() if is_x86_64 else False
    reason = "this CPU multiplies in bfloat16" if bf16 else "this CPU has no fast 16-bit arithmetic"
    return Hardware("cpu", _cpu_name(), 1, "bfloat16" if bf16 else "float32", reason, _total_ram_bytes(), is_x86_64, _cores())


def lent() -> Hardware:
    """The hardware of ZeroGPU."""
    return replace(detect("cpu"), name="ZeroGPU", dtype="bfloat16", dtype_reason="the GPU that is lent computes in bfloat16", is_lent=True)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] \
        if info.is_file() else []
    return f"{names[0] if names else platform.processor() or 'CPU'}, {_cores()} cores"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cgroup_bytes(name: str) -> int | None:
    path = Path("/sys/fs/cgroup") / name
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def _total_ram_bytes() -> int:
    """The machine's memory, or the container's limit where that is smaller."""
    total = int(psutil.virtual_memory().total)
    return min(total, _cgroup_bytes("memory.max") or total)


def _free_ram_bytes() -> int:
    available = int(psutil.virtual_memory().available)
    limit, current = _cgroup_bytes("memory.max"), _cgroup_bytes("memory.current")
    return available if limit is None or current is None else min(available, max(0, limit - current))
