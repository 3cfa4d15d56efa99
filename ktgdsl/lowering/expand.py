"""Expands a graph block into a draft: its nodes, edges, targets and shares, in that order."""

from ktgdsl.lowering.draft import Draft, Drafting
from ktgdsl.lowering.edges import add_edges
from ktgdsl.lowering.head_checks import check_heads
from ktgdsl.lowering.names import Names
from ktgdsl.lowering.nodes import add_nodes
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.shares import add_shares
from ktgdsl.lowering.substitution import Substitution
from ktgdsl.syntax.tree import Edge, Graph, Node, Reference, ShareStatement, Target


def expand(resolver: Resolver, substitution: Substitution, graph: Graph, views: int) -> Drafting:
    """The graph written out; what is wrong with it is left out and complained about."""
    drafting = Drafting(resolver, substitution, Names(resolver), Draft(graph.name), views)
    statements = graph.statements
    add_nodes(drafting, [s for s in statements if isinstance(s, Node)])
    check_heads(drafting)
    add_edges(drafting, [s for s in statements if isinstance(s, Edge)])
    for statement in statements:
        if isinstance(statement, Target):
            for reference in statement.names:
                _add_target(drafting, reference)
    if shares := [s for s in statements if isinstance(s, ShareStatement)]:
        add_shares(drafting, shares)
    return drafting


def _add_target(drafting: Drafting, reference: Reference) -> None:
    for name in drafting.whole_nodes(reference, "target"):
        derived = drafting.draft.derived.get(name)
        if derived is not None and derived.made.word != "ensemble":
            drafting.resolver.complain(
                "E408",
                f"a target is a network or an ensemble, and `{name}` is made by "
                f"`{derived.made.word}`",
                reference.span,
                "name the node that it is made from",
            )
        else:
            drafting.draft.targets.setdefault(name, reference.span)
