"""Checks that the state of a checkpoint fits the training that resumes from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

OF_THE_DEVICE = frozenset({"lr", "capturable", "fused", "foreach", "differentiable"})
"""Fields of a parameter group that are set at each step, or depend on the device."""


def require_like(found: object, expected: object, name: str) -> None:
    """Compare a state with one of the same training: names, shapes and types, not values.

    Raises ValueError where they differ; `name` is what the message calls the state.
    """
    if isinstance(expected, Tensor):
        wanted = f"{tuple(expected.shape)} of {expected.dtype}"
        if not isinstance(found, Tensor):
            raise ValueError(f"`{name}` is a {type(found).__name__}, not {wanted}")
        if (found.shape, found.dtype) != (expected.shape, expected.dtype):
            raise ValueError(f"`{name}` is {tuple(found.shape)} of {found.dtype}, not {wanted}")
    elif isinstance(expected, Mapping):
        if not isinstance(found, Mapping) or found.keys() != expected.keys():
            raise ValueError(f"`{name}` has other names than those of the training")
        for key, value in expected.items():
            require_like(found[key], value, f"{name}.{key}")
    elif isinstance(expected, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(expected):
            raise ValueError(f"`{name}` is not {len(expected)} values")
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            require_like(one, other, f"{name}.{index}")
    elif type(found) is not type(expected):
        raise ValueError(f"`{name}` is a {type(found).__name__}, not {type(expected).__name__}")


def require_number(found: object, low: int, high: int, name: str) -> int:
    """An integer from `low` to `high`. Raises ValueError for anything else."""
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise ValueError(f"`{name}` is not a number from {low} to {high}")
    return found


def require_groups_like(found: object, expected: Sequence[Mapping[str, Any]]) -> None:
    """Compare groups of parameters of an optimiser with those of the plan, values too.

    Raises ValueError where they differ.
    """
    if not isinstance(found, list) or len(found) != len(expected):
        raise ValueError(f"the optimiser does not have {len(expected)} groups")
    for one, other in zip(found, expected, strict=True):
        for key in other.keys() - OF_THE_DEVICE - {"params"}:
            if not isinstance(one, Mapping) or key not in one:
                raise ValueError(f"a group of the optimiser has no `{key}`")
            require_like(one[key], other[key], key)
            if one[key] != other[key]:
                raise ValueError(f"`{key}` of the optimiser is {one[key]}, not {other[key]}")


def require_moments(optimizer: Optimizer) -> None:
    """Raise ValueError where what an optimiser keeps of a parameter is not of its shape."""
    names = {name for kept in optimizer.state.values() for name in kept}
    for parameter, kept in optimizer.state.items():
        for name in names:
            value = kept.get(name)
            if value is None and name == "momentum_buffer":  # there is none before the first step
                continue
            if not isinstance(value, Tensor) or value.shape not in (parameter.shape, ()):
                raise ValueError(f"`{name}` of the optimiser does not fit its parameter")


def require_amount(found: object, low: float, high: float, name: str) -> float:
    """A float from `low` to `high`. Raises ValueError for anything else."""
    if not isinstance(found, float) or not low <= found <= high:
        raise ValueError(f"`{name}` is not a number from {low:g} to {high:g}")
    return found
