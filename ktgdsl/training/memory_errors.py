"""Running out of memory, reported as an error with advice instead of a bug."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ktgdsl.errors import RunError

_CPU_ALLOCATOR = "DefaultCPUAllocator"
"""In the message of the RuntimeError that torch raises without memory on the CPU."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch found no memory, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and _CPU_ALLOCATOR in str(error)
    )


@contextmanager
def reporting_out_of_memory(device: torch.device) -> Iterator[None]:
    """Raise RunError (E504) where torch finds no memory on the device."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        message = f"the memory of {device} is too small for this training: {error}".splitlines()[0]
        help = "a smaller `batch`, fewer or smaller nodes, or `precision = bf16` needs less"
        raise RunError.single("E504", message, help=help) from error
