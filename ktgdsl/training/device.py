"""Devices by name, and the default device."""

import os

import torch

from ktgdsl.errors import RunError
from ktgdsl.vocabulary.spelling import closest


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
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # What torch raises depends on the kind of device and on how torch was built.
        message = f"there is no device `{name}` here"
        raise RunError.single("E504", message, help=_help(str(name), str(error))) from None
    return device


def _help(name: str, error: str) -> str:
    """What was meant by a device that there is not, or why it is not there, and what there is."""
    kind, colon, number = name.partition(":")
    available = f"there is {', '.join(f'`{each}`' for each in _devices())}"
    if kind == "cuda":
        why = _why_no_gpu(error)
        return f"{why}; {available}" if why else available
    meant = "cuda" if kind.lower() == "gpu" else closest(kind, ("cpu", "cuda", "mps"))
    if meant and meant != kind:
        return f"did you mean `{meant}{colon}{number}`? {available}"
    return available


def _why_no_gpu(error: str) -> str | None:
    """Why torch, which raised an error of this text, has no GPU; None where it has some."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this torch, {torch.__version__}, is built without CUDA"
    if "no NVIDIA driver" in error:
        return "no NVIDIA driver was found"
    if "driver on your system is too old" in error:
        return f"the NVIDIA driver is too old for this torch, {torch.__version__}"
    if torch.cuda.device_count() == 0:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        return "no GPU was found" + ("" if hidden is None else f": CUDA_VISIBLE_DEVICES={hidden}")
    return None


def _devices() -> list[str]:
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*names, "mps"] if torch.backends.mps.is_available() else names
