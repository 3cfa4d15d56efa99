"""Substitution of open values: the protocol that lowering uses, and the one where nothing is open.

A spec has nothing open; package `space` substitutes what a point draws.
"""

from dataclasses import replace
from typing import Protocol

from ktgdsl.syntax.tree import Setting, Syntax, Value


class Substitution(Protocol):
    """Replaces open values by closed ones. `place` is the name of the draw, such as `train.lr`.

    `differs_by_place` says whether a value may become something else at another place.
    """

    differs_by_place: bool

    def is_open(self, part: Syntax) -> bool:
        """Whether anything in a part of the tree is open."""

    def substitute(self, value: Value, place: str) -> Value:
        """The value with every open value in it replaced."""

    def substitute_size(self, value: Value, place: str) -> Value:
        """The same for the number of nodes of an array."""


class NothingOpen:
    """The substitution of a spec."""

    differs_by_place = False

    def is_open(self, part: Syntax) -> bool:
        """Nothing is."""
        return False

    def substitute(self, value: Value, place: str) -> Value:
        """The value as it is."""
        return value

    substitute_size = substitute


def substituted_settings(
    substitution: Substitution, settings: tuple[Setting, ...], block: str
) -> tuple[Setting, ...]:
    """The settings of a block with open values replaced; `lr` in `train` is drawn as `train.lr`."""
    return tuple(
        replace(each, value=substitution.substitute(each.value, f"{block}.{each.name}"))
        for each in settings
    )
