"""Too little memory for a training: told as what the user can change, not as a bug."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError

_OF_THE_CPU = "DefaultCPUAllocator"
"""In the message of the RuntimeError that torch raises without memory on the CPU."""


@contextmanager
def room_on(device: torch.device) -> Iterator[None]:
    """Raises RunError (E504) where torch finds no memory on the device."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _OF_THE_CPU not in str(error):
            raise
        message = f"the memory of {device} is too small for this training: {error}"
        help = "a smaller `batch`, fewer or smaller nodes, or `precision = bf16` needs less"
        raise RunError([Diagnostic("E504", message.splitlines()[0], help=help)]) from error
