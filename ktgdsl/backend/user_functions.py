"""Losses and gates of the user's own: imports their functions, and checks what they return."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ktgdsl.backend.numerics import full
from ktgdsl.backend.own_code_errors import argument_meant, describe_with_place
from ktgdsl.backend.user_code import UnusableError, user_function
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import EdgeError
from ktgdsl.vocabulary.reads import UserFunction

_VALUES = ("source", "destination", "label", "progress")
"""The positional arguments of such a function, as messages name them."""


class ImportedFunction:
    """A function of the user's with its arguments; it has the name and module of the function.

    Raises EdgeError (E505) about the edge (source, destination) when it cannot be imported or does
    not take so many `values` beside its arguments, and when a call of it fails or changes what it
    is given, which others read too.
    """

    def __init__(
        self, named: UserFunction, folder: str | None, values: int, edge: tuple[str, str]
    ) -> None:
        self._path, self._edge = named.path, edge
        try:
            self._function: Callable[..., Any] = user_function(named.path, folder)
        except UnusableError as error:
            raise self._unusable(str(error), error.help) from error
        if not callable(self._function):
            raise self._unusable(f"is a {type(self._function).__name__}, which cannot be called")
        self.arguments: dict[str, Any] = json.loads(named.arguments)
        self._require_parameters(values)
        self._compared = False
        self.__module__, _, self.__name__ = named.path.partition(":")

    def _require_parameters(self, values: int) -> None:
        try:
            parameters = signature(self._function)
        except ValueError:  # some built-in functions have none
            return
        try:
            parameters.bind(*range(values), **self.arguments)
        except TypeError as error:
            meant = argument_meant(self._function, values, [*self.arguments])
            called = f"({', '.join(_VALUES[:values])}), and its own arguments by name"
            help = "; ".join([*([meant] if meant else []), f"it is called with {called}"])
            raise self._unusable(f"cannot be called: {error}", help) from error

    def __call__(self, *values: object, **arguments: object) -> Any:
        """The result of the function."""
        before = None if torch.compiler.is_compiling() else self._states(values)
        try:
            result = self._function(*values, **arguments)
        except (Exception, SystemExit) as error:
            raise self._unusable(f"fails: {describe_with_place(error)}") from error
        if before is not None:
            self._require_unchanged(values, before)
        return result

    def _states(self, values: Sequence[object]) -> list[tuple[int, Tensor | None]]:
        """The state of tensors, to detect changes: their versions, and on the first call copies.

        Writing to `x.data` gives no other version, and comparing waits for the device.
        """
        tensors = [value for value in values if isinstance(value, Tensor)]
        return [(x._version, None if self._compared else x.detach().clone()) for x in tensors]

    def _require_unchanged(
        self, values: Sequence[object], before: Sequence[tuple[int, Tensor | None]]
    ) -> None:
        tensors = [(n, v) for n, v in zip(_VALUES, values, strict=False) if isinstance(v, Tensor)]
        for (name, now), (version, copy) in zip(tensors, before, strict=True):
            same = copy is None or torch.allclose(now, copy, rtol=0, atol=0, equal_nan=True)
            if now._version != version or not same:
                problem = f"changes its `{name}` in place, which other edges read"
                raise self._unusable(problem, f"work on a copy: `{name}.clone()`")
        self._compared = True

    def _unusable(self, problem: str, help: str | None = None) -> EdgeError:
        return _unusable(self._path, self._edge, problem, help)


def own_values(value: Tensor, destination: Tensor, name: str, edge: tuple[str, str]) -> Tensor:
    """Return the values of a loss of the user's, (B,) or those of pixels (B, *rest).

    Raises EdgeError (E505) when it is anything else, such as the mean of the batch.
    """
    problem = _not_of_samples(value, destination, "a loss", "one value a sample", scalar=False)
    if problem is not None:
        raise _unusable(name, edge, problem, _PER_SAMPLE)
    return value


def own_weights(value: Tensor, destination: Tensor, name: str, edge: tuple[str, str]) -> Tensor:
    """Return the weights of a gate of the user's, (B,), (B, *rest) or (), without gradient.

    NaN where one is not in [0, 1], so that the loss of the edge is NaN and the run ends: whether
    one is, nobody can ask without waiting for the device. Raises EdgeError (E505) for any other
    shape.
    """
    problem = _not_of_samples(value, destination, "a gate", "one weight a sample", scalar=True)
    if problem is not None:
        raise _unusable(name, edge, problem, _PER_SAMPLE)
    weight = full(value.detach())
    if not weight.is_floating_point():
        weight = weight.float()
    return torch.where((weight >= 0) & (weight <= 1), weight, torch.nan)


_PER_SAMPLE = "leave the mean over the batch to the edge: values are weighted by its gate first"


def _not_of_samples(
    value: object, destination: Tensor, what: str, needed: str, *, scalar: bool
) -> str | None:
    """What is wrong with the shape of a function's result, in words; None if it is right."""
    samples, pixels = destination.shape[:1], destination.shape[:1] + destination.shape[2:]
    if isinstance(value, Tensor) and value.shape in (samples, pixels, *[()][: int(scalar)]):
        return None
    of_shape = f"the shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
    return f"gives {of_shape}, and {what} gives {needed}, {tuple(samples)}"


def _unusable(path: str, edge: tuple[str, str], problem: str, help: str | None) -> EdgeError:
    source, destination = edge
    name = f"{source} -> {destination}" if source else destination
    message = f'python("{path}") of edge {name} {problem}'
    return EdgeError(edge, Diagnostic("E505", message, help=help))
