"""What of a plan the language has and this back end cannot train yet."""

from collections.abc import Iterator
from typing import NamedTuple

from ktgdsl.plan.model import Plan


class Missing(NamedTuple):
    """A part of a plan that cannot be trained yet: what it is, and the word that says it.

    `kind` is what the word is, where one word may be of several kinds: `python` is a network,
    a loss and a gate.
    """

    what: str
    word: str
    kind: str = ""


def missing(plan: Plan) -> Iterator[Missing]:
    """What of a plan this version cannot train, in no special order."""
    graph = plan.graph
    for node in graph.nodes:
        if node.device is not None:
            yield Missing("a device of a node's own", "device")
