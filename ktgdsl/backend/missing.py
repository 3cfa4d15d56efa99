"""What of a plan the language has and this back end cannot train yet."""

from collections.abc import Iterator
from typing import NamedTuple

from ktgdsl.plan.gate_expressions import gate_calls
from ktgdsl.plan.graph import LOGITS, Edge, node_of, tap_of
from ktgdsl.plan.model import Call, Plan
from ktgdsl.program.edges import source_kind
from ktgdsl.vocabulary import gates as vocabulary
from ktgdsl.vocabulary.reads import Read
from ktgdsl.vocabulary.registry import entry_of


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
    for derived in graph.derived:
        yield Missing(f"a node made by `{derived.made.name}`", derived.made.name, "network")
    if graph.shares:
        yield Missing("`share`", "share")
    if plan.phases:
        yield Missing("training in phases", "phase")
    for edge in graph.edges:
        yield from _missing_ends(edge)
        yield from _missing_functions(edge)
    if plan.data.views > 1:
        yield Missing("this value of the setting `views`", "views")


def _missing_ends(edge: Edge) -> Iterator[Missing]:
    if edge.unary:
        yield Missing("an edge without a source", "unary")
    elif {tap_of(edge.source), edge.destination.tap} != {LOGITS}:
        yield Missing("a tap inside of a network", "tap")
    elif node_of(edge.source) == edge.destination.node:
        yield Missing("an edge from one view of a node to the other", "views")


def _missing_functions(edge: Edge) -> Iterator[Missing]:
    from ktgdsl.backend import gates, losses  # which import torch

    source = source_kind(edge)
    for term in edge.terms:
        for loss in (part.loss for part in term.parts):
            if (loss.name, source) not in losses.FUNCTIONS:
                yield Missing(f"the loss `{loss.name}`", loss.name, "loss")
        for gate in gate_calls(term.gate):
            if gate.name not in gates.FUNCTIONS:
                yield Missing(f"the gate `{gate.name}`", gate.name, "gate")
            elif source == "label" and _reads_source(gate):
                what = f"the gate `{gate.name}` of an edge from the labels"
                yield Missing(what, gate.name, "gate")


def _reads_source(gate: Call) -> bool:
    inputs = entry_of(vocabulary.Gate, gate).inputs()
    return any(isinstance(each, Read) and each.of == "source" for each in inputs)
