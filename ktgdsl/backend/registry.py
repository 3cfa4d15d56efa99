"""The functions that compute losses and gates, by the words of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

from ktgdsl.vocabulary.reads import SourceKind

Loss = TypeVar("Loss", bound=Callable[..., Tensor])
Gate = TypeVar("Gate", bound=Callable[..., Any])

LOSSES: dict[tuple[str, SourceKind], Callable[..., Tensor]] = {}
"""The function of each loss by its word and what its edge comes from; `functions` fills it."""

GATES: dict[str, Callable[..., Any]] = {}
"""The function of each gate by its word; `functions` fills it."""


def computes_loss(word: str, source: SourceKind = "node") -> Callable[[Loss], Loss]:
    """Decorate the function that computes a loss; it takes what the loss names in `inputs`.

    Raises ValueError when the word has a function for this source already.
    """

    def register(function: Loss) -> Loss:
        _add(LOSSES, (word, source), function, f"the loss `{word}` of an edge from a {source}")
        return function

    return register


def computes_gate(word: str) -> Callable[[Gate], Gate]:
    """Decorate the function that computes a gate; it takes what the gate names in `inputs`.

    Its result must carry no gradient: a gate weighs losses, it does not learn. Raises
    ValueError when the word has a function already.
    """

    def register(function: Gate) -> Gate:
        _add(GATES, word, function, f"the gate `{word}`")
        return function

    return register


def _add(functions: dict[Any, Callable[..., Any]], key: Any, function: Any, what: str) -> None:
    if key in functions:
        first, second = functions[key].__qualname__, function.__qualname__
        raise ValueError(f"{what} has two functions: {first} and {second}")
    functions[key] = function
