"""How much memory is free, and whether a data set may take its place there."""

import os
from pathlib import Path

import torch

SHARE = 0.4
"""How much of the free memory data may take; what is left is for networks and copies."""


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes of data may be put there."""
    return size <= SHARE * free(device)


def free(device: torch.device) -> int:
    """Bytes that are free on a device; those of the host for all that is not CUDA."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _free_of_host()


def _free_of_host() -> int:
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("MemAvailable"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:  # half of what there is, where nobody says what is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30
