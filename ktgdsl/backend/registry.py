"""The functions that compute losses, gates and ensembles, by the words of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

from ktgdsl.vocabulary.combines import On
from ktgdsl.vocabulary.reads import SourceKind

Loss = TypeVar("Loss", bound=Callable[..., Tensor])
Target = TypeVar("Target", bound=Callable[..., Any])
Gate = TypeVar("Gate", bound=Callable[..., Any])
Combine = TypeVar("Combine", bound=Callable[..., Tensor])

LOSSES: dict[tuple[str, SourceKind], Callable[..., Tensor]] = {}
"""The function of each loss by its word and what its edge comes from; `functions` fills it."""

TARGETS: dict[tuple[str, SourceKind], Callable[..., Any]] = {}
"""The function of a loss's target, of those that have one, by the same keys."""

GATES: dict[str, Callable[..., Any]] = {}
"""The function of each gate by its word; `functions` fills it."""

COMBINES: dict[tuple[str, On], Callable[..., Tensor]] = {}
"""The function of each way to combine nodes, and of constants, by its word and by what it gives;
`functions` fills it."""


def computes_loss(word: str, source: SourceKind = "node") -> Callable[[Loss], Loss]:
    """Decorate the function that computes a loss; it takes what the loss names in `inputs`.

    Raises ValueError when the word has a function for this source already.
    """

    def register(function: Loss) -> Loss:
        _add(LOSSES, (word, source), function, f"the loss `{word}` of an edge from a {source}")
        return function

    return register


def has_target(word: str, source: SourceKind = "node") -> Callable[[Target], Target]:
    """Decorate the function that gives the target of a loss; it takes what the loss takes.

    Only of a loss that is linear in log p of the destination, which it reads at one temperature:
    all such losses into a node are computed at once. Raises ValueError when there is one already.
    """

    def register(function: Target) -> Target:
        _add(
            TARGETS, (word, source), function, f"the target of `{word}` of an edge from a {source}"
        )
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


def combines(word: str, on: On = "logits") -> Callable[[Combine], Combine]:
    """Decorate the function that combines nodes; it takes what the word names in `inputs`.

    It gives logits, or on probabilities log p. Raises ValueError when the word has a function for
    these already.
    """

    def register(function: Combine) -> Combine:
        _add(COMBINES, (word, on), function, f"`{word}` on {on}")
        return function

    return register


def _add(functions: dict[Any, Callable[..., Any]], key: Any, function: Any, what: str) -> None:
    if key in functions:
        first, second = functions[key].__qualname__, function.__qualname__
        raise ValueError(f"{what} has two functions: {first} and {second}")
    functions[key] = function
