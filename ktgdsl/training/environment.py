"""The environment of a run, `environment.json`: machine, versions, seeds and execution."""

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import torch

from ktgdsl.backend.process_group import process_group
from ktgdsl.training.execution import Execution
from ktgdsl.training.versions import installed_version

PACKAGES = ("ktgdsl", "torch", "torchvision", "safetensors", "lark", "pydantic")


def describe_environment(
    device: torch.device, seeds: tuple[int, ...], execution: Execution
) -> dict[str, Any]:
    """The content of `environment.json` for a training that starts now.

    Versions, device, threads, seeds, whether only deterministic algorithms are used, the command,
    the start time (ISO 8601, UTC), and how steps are executed (`computing`).

    Raises:
        RunError: when the device cannot compute as the plan says (E504).
    """
    cuda = device.type == "cuda"
    group = process_group()
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(),
        # Of several processes each has its own.
        "device": device.type if group.is_distributed else str(device),
        "processes": group.size,
        "device_name": torch.cuda.get_device_name(device) if cuda else platform.machine(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "seeds": seeds,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "versions": {name: installed_version(name) for name in PACKAGES},
        "computing": execution.as_json(),
    }


def command() -> list[str]:
    """The command line of this process, as valid UTF-8 and without passwords."""
    words = (each.encode("utf-8", "backslashreplace").decode() for each in sys.argv)
    return [without_password(word) for word in words]


def without_password(text: str) -> str:
    """The text with passwords in URLs, such as `postgresql://USER:PASSWORD@HOST`, replaced."""
    text = re.sub(r"(://[^/?\s:@]*):.*@", r"\1:***@", text)
    return re.sub(r"([?&](?:ssl)?password=)[^&\s]*", r"\1***", text)


@contextmanager
def threads_of(environment: Mapping[str, Any]) -> Iterator[None]:
    """Use the number of threads of an earlier run in the block: the bits of sums depend on it."""
    before, threads = torch.get_num_threads(), environment.get("threads")
    if not isinstance(threads, int) or threads < 1:
        threads = before
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
