"""Functions for scripts alone that read files of weights, as plain source."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def unchanged_file(path: str, sha256: str) -> bytes:
    """The content of a file, which has to be the one that this script was written for."""
    content = Path(path).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"the file {path} has changed since this script was written")
    return content


def read_safetensors(path: str, sha256: str) -> dict[str, Tensor]:
    """The tensors in a safetensors file."""
    from safetensors.torch import load

    return load(unchanged_file(path, sha256))


def read_checkpoint(path: str, sha256: str) -> Any:
    """What `torch.save` has written."""
    content = io.BytesIO(unchanged_file(path, sha256))
    return torch.load(content, map_location="cpu", weights_only=True)


def without_prefix(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    found = {name: each for name, each in state.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): each for name, each in found.items()}
