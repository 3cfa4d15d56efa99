"""The device that something is computed on, by name."""

import torch

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError


def choose_device(name: str | torch.device | None) -> torch.device:
    """The device of that name; without one the GPU if there is one, else the CPU.

    Raises:
        RunError: when there is no such device here (E504).
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        # What torch raises depends on the kind of device and on how torch was built.
        known = ", ".join(f"`{each}`" for each in _devices())
        raise RunError(
            [Diagnostic("E504", f"there is no device `{name}` here", help=f"there is {known}")]
        ) from None
    return device


def _devices() -> list[str]:
    found = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found
