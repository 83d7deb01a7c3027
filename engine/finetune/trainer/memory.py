"""The most memory that this process has held."""

from __future__ import annotations

from pathlib import Path

import psutil

STATUS = Path("/proc/self/status")


def peak_bytes(device: str) -> int:
    """On a GPU, what PyTorch has reserved there at most; else the largest resident memory since the process began its program.

    The kernel's own number, where Linux gives it: getrusage() also counts the memory of the process that started this one.
    """
    if device == "cuda":
        import torch

        return sum(int(torch.cuda.max_memory_reserved(each)) for each in range(torch.cuda.device_count()))
    if STATUS.is_file():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", info.rss))
