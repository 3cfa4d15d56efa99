"""Devices by name, and the default device."""

import torch

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
        available = ", ".join(f"`{each}`" for each in _devices())
        message = f"there is no device `{name}` here"
        raise RunError.single("E504", message, help=f"there is {available}") from None
    return device


def _devices() -> list[str]:
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*names, "mps"] if torch.backends.mps.is_available() else names
