"""Losses and gates of the user's own: functions that are imported, called and checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ktgdsl.backend.numerics import full
from ktgdsl.backend.user_code import UnusableError, user_function
from ktgdsl.errors import RunError, describe
from ktgdsl.vocabulary.reads import UserFunction


class OwnFunction:
    """A function of the user's with its arguments; it has the name and module of the function.

    Raises RunError (E505) when it cannot be imported or does not take so many `values` beside its
    arguments, and when a call of it fails.
    """

    def __init__(self, named: UserFunction, folder: str | None, values: int) -> None:
        self._written = f'python("{named.path}")'
        try:
            self._function: Callable[..., Any] = user_function(named.path, folder)
        except UnusableError as error:
            raise self._unusable(str(error), error.help) from error
        if not callable(self._function):
            raise self._unusable(f"is a {type(self._function).__name__}, which cannot be called")
        self.arguments: dict[str, Any] = json.loads(named.arguments)
        self._require_parameters(values)
        self.__module__, _, self.__name__ = named.path.partition(":")

    def _require_parameters(self, values: int) -> None:
        try:
            parameters = signature(self._function)
        except ValueError:  # some built-in functions have none
            return
        try:
            parameters.bind(*range(values), **self.arguments)
        except TypeError as error:
            first = ("source", "destination", "label", "progress")[:values]
            help = f"it is called with ({', '.join(first)}), and its own arguments by name"
            raise self._unusable(f"cannot be called: {error}", help) from error

    def __call__(self, *values: object, **arguments: object) -> Any:
        """What the function returns."""
        try:
            return self._function(*values, **arguments)
        except Exception as error:
            raise self._unusable(f"fails: {describe(error)}") from error

    def _unusable(self, problem: str, help: str | None = None) -> RunError:
        return RunError.single("E505", f"{self._written} {problem}", help=help)


def own_values(value: Tensor, destination: Tensor, name: str) -> Tensor:
    """Return the values of a loss of the user's, (B,) or those of pixels (B, *rest).

    Raises RunError (E505) when it is anything else, such as the mean of the batch.
    """
    _require_samples(value, destination, name, "a loss", "one value a sample", scalar=False)
    return value


def own_weights(value: Tensor, destination: Tensor, name: str) -> Tensor:
    """Return the weights of a gate of the user's, (B,), (B, *rest) or (), without gradient.

    NaN where one is not in [0, 1], so that the loss of the edge is NaN and the run ends: whether
    one is, nobody can ask without waiting for the device. Raises RunError (E505) for any other
    shape.
    """
    _require_samples(value, destination, name, "a gate", "one weight a sample", scalar=True)
    weight = full(value.detach())
    if not weight.is_floating_point():
        weight = weight.float()
    return torch.where((weight >= 0) & (weight <= 1), weight, torch.nan)


def _require_samples(
    value: object, destination: Tensor, name: str, what: str, needed: str, *, scalar: bool
) -> None:
    samples, pixels = destination.shape[:1], destination.shape[:1] + destination.shape[2:]
    if isinstance(value, Tensor) and value.shape in (samples, pixels, *[()][: int(scalar)]):
        return
    of_shape = f"the shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
    raise RunError.single(
        "E505",
        f'python("{name}") gives {of_shape}, and {what} gives {needed}, {tuple(samples)}',
        help="leave the mean over the batch to the edge: values are weighted by its gate first",
    )
