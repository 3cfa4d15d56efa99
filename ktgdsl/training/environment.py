"""Where and with what a run was made: `environment.json`."""

import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PACKAGES = ("ktgdsl", "torch", "torchvision", "safetensors", "lark", "pydantic")


def describe(device: torch.device, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Versions, device, threads, seeds, whether all is deterministic, command and the time now
    (ISO 8601, UTC)."""
    cuda = device.type == "cuda"
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if cuda else platform.machine(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "seeds": seeds,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@contextmanager
def threads_of(environment: Mapping[str, Any]) -> Iterator[None]:
    """As many threads as that run had: sums, and so bits, depend on how they are shared out."""
    before, wanted = torch.get_num_threads(), environment.get("threads")
    if not isinstance(wanted, int) or wanted < 1:
        wanted = before
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
