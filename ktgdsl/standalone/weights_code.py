"""Statements of a script that give networks weights of files, and their normalisation."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.normalization import InputNormalization, input_normalization
from ktgdsl.backend.state_dicts import state_dict_in, unwrapped
from ktgdsl.plan.model import DataPlan, Node
from ktgdsl.standalone import weight_files
from ktgdsl.standalone.data_code import is_computed, known_normalization
from ktgdsl.standalone.source import Definitions
from ktgdsl.standalone.text import literal

SAFETENSORS = ".safetensors"


def weights_problem(node: Node) -> str | None:
    """Why no script can read the weights of a node, a sentence; None where one can."""
    if node.weights_file is None or node.weights_file.file.lower().endswith(SAFETENSORS):
        return None
    try:
        _content(node.weights_file.file)
    except Exception:  # `torch.load` raises almost anything
        return (
            f"{node.weights_file.path} holds more than tensors, which `torch.load` does not read "
            "with `weights_only=True`"
        )
    return None


def weights_code(node: Node, network: nn.Module, used: Definitions) -> list[str]:
    """Statements that load the weights of a node, where they are in a file."""
    file = node.weights_file
    if file is None:
        return []
    own, name = network.state_dict(), f"networks[{literal(node.name)}]"
    arguments = f"{literal(file.file)}, {literal(file.sha256)}"
    if file.file.lower().endswith(SAFETENSORS):
        used.add(weight_files.read_safetensors)
        return [f"{name}.load_state_dict(read_safetensors({arguments}))"]
    used.add(weight_files.read_checkpoint)
    content = _content(file.file)
    found = state_dict_in(content)
    assert found is not None  # the network has been loaded from it
    path = "".join(f"[{literal(key)}]" for key in _keys(content, found))
    text = f"read_checkpoint({arguments}){path}"
    inside = unwrapped(found, own)
    first = next(iter(inside))
    prefix = next(key for key in found if key.endswith(first)).removesuffix(first)
    if prefix:
        used.add(weight_files.without_prefix)
        text = f"without_prefix({text}, {literal(prefix)})"
    if inside.keys() < own.keys():  # old files lack the counters of batch norm
        text = f"{name}.state_dict() | {text}"
    return [f"{name}.load_state_dict({text})"]


def normalization_code(
    node: Node, network: nn.Module, data: DataPlan, used: Definitions
) -> list[str]:
    """Statements that have a network normalise its images, where it does and they are not yet."""
    own, known = input_normalization(network), known_normalization(data)
    if own is None:
        return []
    shown = None
    if known is not None:
        mean, std = (torch.tensor(each).view(-1, 1, 1) for each in known)
        own.set_data(mean, std)
        if own.is_unneeded:
            return []
        shown = ", ".join(f"torch.tensor({[*each]}).view(-1, 1, 1)" for each in known)
    elif is_computed(data):
        shown = "train_set.mean, train_set.std"
    used.add(InputNormalization)
    numbers = ", ".join(str(_numbers(each)) for each in (own.mean, own.std))
    return [
        f"normalization = InputNormalization({numbers})",
        *([] if shown is None else [f"normalization.set_data({shown})"]),
        f"networks[{literal(node.name)}].register_forward_pre_hook(normalization)",
    ]


def _content(file: str) -> Any:
    return torch.load(io.BytesIO(Path(file).read_bytes()), map_location="cpu", weights_only=True)


def _keys(content: Any, found: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The keys by which a state dict is found in a checkpoint."""
    if content is found:
        return ()
    for key, value in content.items():
        if isinstance(value, Mapping) and state_dict_in(value) is found:
            return key, *_keys(value, found)
    raise AssertionError("it is the state dict of this checkpoint")


def _numbers(tensor: Tensor) -> list[float]:
    """The shortest decimals that are these numbers in float32."""
    return [float(str(each)) for each in tensor.flatten().numpy()]
