"""Closing: how the open values of a space become closed ones (`plan.opening`), if there are any."""

from dataclasses import replace
from typing import Protocol

from ktgdsl.syntax.tree import Setting, Syntax, Value


class Closing(Protocol):
    """How open values become closed ones. `place` is what draws are named after."""

    def is_open(self, part: Syntax) -> bool:
        """Whether anything in a part of the tree is open."""

    def close(self, value: Value, place: str) -> Value:
        """The value without anything open in it."""

    def size(self, value: Value, place: str) -> Value:
        """The same for the number of nodes of an array."""


class Closed:
    """Closing where nothing is open."""

    def is_open(self, part: Syntax) -> bool:
        """Nothing is."""
        return False

    def close(self, value: Value, place: str) -> Value:
        """The value as it is."""
        return value

    size = close


def settings(closing: Closing, written: tuple[Setting, ...], place: str) -> tuple[Setting, ...]:
    """The settings of a block, closed; `train.lr` is the place of `lr` in `train`."""
    return tuple(replace(s, value=closing.close(s.value, f"{place}.{s.name}")) for s in written)
