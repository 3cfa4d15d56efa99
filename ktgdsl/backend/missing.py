"""What of a plan the language has and this back end cannot train yet."""

from collections.abc import Iterator
from typing import NamedTuple

from ktgdsl.plan.gate_expressions import gate_calls
from ktgdsl.plan.graph import Edge
from ktgdsl.plan.model import Node, Plan
from ktgdsl.program.edges import source_kind
from ktgdsl.vocabulary import gates as vocabulary
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.networks import Resnet, Wrn
from ktgdsl.vocabulary.reads import Connected, Input, Moving, PhaseFraction, Read, UserFunction
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
        if derived.follows is not None:
            continue
        yield Missing(f"a node made by `{derived.made.name}`", derived.made.name, "network")
    for share in graph.shares:
        if not all(_has_stages(graph.node(name)) for name in share.nodes):
            yield Missing("`share` between networks that are not built in", "share")
        if any(graph.node(name).pretrained for name in share.nodes):
            yield Missing("`share` between nodes that are pre-trained", "share")
    for edge in graph.edges:
        yield from _missing_ends(edge)
        yield from _missing_functions(edge)
    if plan.data.views > 1:
        yield Missing("this value of the setting `views`", "views")


def _has_stages(node: Node) -> bool:
    return node.network.name in (Resnet.word, Wrn.word)


def _missing_ends(edge: Edge) -> Iterator[Missing]:
    if edge.source == edge.destination:
        yield Missing("an edge from one view of a node to the other", "views")


def _missing_functions(edge: Edge) -> Iterator[Missing]:
    source = source_kind(edge)
    for term in edge.terms:
        for call in (part.loss for part in term.parts):
            inputs = entry_of(Loss, call).inputs(source)
            if not all(map(can_be_supplied, inputs)):
                yield Missing(f"the loss `{call.name}`", call.name, "loss")
        for call in gate_calls(term.gate):
            gate = entry_of(vocabulary.Gate, call)
            # What folds is a number in each phase, and phases say of themselves what is missing.
            if not gate.folds and not all(map(can_be_supplied, gate.inputs(source))):
                yield Missing(f"the gate `{call.name}`", call.name, "gate")


def can_be_supplied(value: Input) -> bool:
    """Whether the training graph has such a value; edges say of their own taps what is missing."""
    match value:
        case Read():
            return value.view == 0
        case Moving():
            return all(map(can_be_supplied, value.inputs))
        case UserFunction() | Connected() | PhaseFraction() | float() | int() | str() | None:
            return True
