"""Measures the peak memory of this process on a device."""

import sys

import torch

if sys.platform == "win32":
    resource = None
else:
    import resource

RESIDENT = "resident memory of the process, torch included, so far"
ALLOCATED = "memory allocated by torch on the device, without what its libraries take"


def kind(device: torch.device) -> str | None:
    """The kind of memory that `peak` measures on the device, in words; None where it cannot."""
    if device.type == "cuda":
        return ALLOCATED
    return RESIDENT if device.type == "cpu" and resource is not None else None


def start(device: torch.device) -> int:
    """The peak until now, in bytes; on a GPU a new peak starts here."""
    if device.type == "cuda":
        torch.zeros((), device=device)  # before its first tensor a GPU has no count to reset
        torch.cuda.reset_peak_memory_stats(device)
    return peak(device)


def peak(device: torch.device) -> int:
    """The peak until now, in bytes; 0 where it cannot be measured."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu" or resource is None:
        return 0
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else 1024 * usage  # kilobytes elsewhere
