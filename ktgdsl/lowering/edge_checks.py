"""Checks that the endpoints of an edge have what its losses and gates read."""

from collections.abc import Iterator

from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.edge_pairs import EdgeTable, Pair
from ktgdsl.lowering.head_checks import unnamed_head
from ktgdsl.lowering.taps import check_norm, check_tap
from ktgdsl.plan.model import LOGITS, NodeOutput, Term, node_of
from ktgdsl.syntax.tree import Edge
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.reads import Read
from ktgdsl.vocabulary.registry import entry_of


def check_terms(edges: EdgeTable, statement: Edge, pair: Pair, found: tuple[Term, ...]) -> None:
    """Report layers, margins and heads that terms read and the edge's endpoints do not have."""
    if _names_layers(edges, found):
        _check_layers(edges, statement, pair, found)
    _check_margins(edges, statement, pair, found)
    if edges.context.draft.heads:
        _check_heads(edges, statement, pair, found)


def _names_layers(edges: EdgeTable, found: tuple[Term, ...]) -> bool:
    """Whether a loss names layers; cached, since many pairs have the same terms."""
    key = id(found)
    if key not in edges.layered:
        edges.layered[key] = found, any(list(_layers(term)) for term in found)
    return edges.layered[key][1]


def _check_layers(edges: EdgeTable, statement: Edge, pair: Pair, found: tuple[Term, ...]) -> None:
    """The layers that losses name are in both networks."""
    for term, span in _with_spans(statement, found):
        for layer in _layers(term):
            nodes = (node_of(pair.source) or str(pair.source), pair.destination.node)
            for node in filter(None, nodes):
                key = span, layer, pair.kind
                if key not in edges.reported and not check_tap(edges.context, node, layer, span):
                    edges.reported.add(key)


def _check_margins(edges: EdgeTable, statement: Edge, pair: Pair, found: tuple[Term, ...]) -> None:
    """Losses that read margins come from a place that has a batch norm directly before it."""
    source = pair.source
    if not isinstance(source, NodeOutput) or source.tap == LOGITS:
        return
    for term, span in _with_spans(statement, found):
        for part in term.parts:
            inputs = entry_of(Loss, part.loss).inputs("node")
            key = span, "margin", source.tap
            reads = any(isinstance(each, Read) and each.form == "margin" for each in inputs)
            if not reads or key in edges.reported:
                continue
            if not check_norm(edges.context, source.node, source.tap, part.loss.name, span):
                edges.reported.add(key)


def _check_heads(edges: EdgeTable, statement: Edge, pair: Pair, found: tuple[Term, ...]) -> None:
    """Terms read the answers of nodes with several heads at one of these."""
    for term, span in _with_spans(statement, found):
        problem = unnamed_head(edges.context.draft, pair, term, pair.kind.source)
        if problem is not None and (span, problem) not in edges.reported:
            edges.reported.add((span, problem))
            message, fix = problem
            edges.context.resolver.complain("E412", message, span, fix)


def _with_spans(statement: Edge, found: tuple[Term, ...]) -> Iterator[tuple[Term, Span]]:
    """The terms of a statement with the places of their losses, else of the statement."""
    for position, term in enumerate(found):
        loss = statement.terms[position].loss if statement.terms else None
        yield term, statement.span if loss is None else loss.span


def _layers(term: Term) -> Iterator[str]:
    for part in term.parts:
        for value in part.loss.arguments.values():
            for layer in value if isinstance(value, list) else [value]:
                if isinstance(layer, dict) and set(layer) == {"tap"}:
                    yield str(layer["tap"])
