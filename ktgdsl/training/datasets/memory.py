"""Free memory of a device, and whether a data set fits there."""

import os
from pathlib import Path

import torch

SHARE = 0.4
"""How much of the free memory data may take; the rest is for networks and copies."""


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes of data may be kept on the device."""
    return size <= SHARE * free(device)


def free(device: torch.device) -> int:
    """Free bytes of a CUDA device, or of the host for any other."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _free_on_host()


def _free_on_host() -> int:
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            available = next(line for line in lines if line.startswith("MemAvailable"))
        return int(available.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:  # half of all memory, where the system does not tell what is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30
