"""Expands a graph block into a draft: its nodes, edges, targets and shares, in that order."""

from ktgdsl.lowering.draft import Draft, DraftContext
from ktgdsl.lowering.edges import add_edges
from ktgdsl.lowering.head_checks import check_heads
from ktgdsl.lowering.names import Names
from ktgdsl.lowering.nodes import add_nodes
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.shares import add_shares
from ktgdsl.lowering.substitution import Substitution
from ktgdsl.syntax.tree import Edge, Graph, Node, Reference, ShareStatement, Target


def expand(
    resolver: Resolver, substitution: Substitution, graph: Graph, views: int
) -> DraftContext:
    """The graph written out; what is wrong with it is left out and complained about."""
    context = DraftContext(resolver, substitution, Names(resolver), Draft(graph.name), views)
    statements = graph.statements
    add_nodes(context, [s for s in statements if isinstance(s, Node)])
    check_heads(context)
    add_edges(context, [s for s in statements if isinstance(s, Edge)])
    for statement in statements:
        if isinstance(statement, Target):
            for reference in statement.names:
                _add_target(context, reference)
    if shares := [s for s in statements if isinstance(s, ShareStatement)]:
        add_shares(context, shares)
    return context


def _add_target(context: DraftContext, reference: Reference) -> None:
    for name in context.whole_nodes(reference, "target"):
        derived = context.draft.derived.get(name)
        if derived is not None and derived.made.word != "ensemble":
            context.resolver.complain(
                "E408",
                f"a target is a network or an ensemble, and `{name}` is made by "
                f"`{derived.made.word}`",
                reference.span,
                "name the node that it is made from",
            )
        else:
            context.draft.targets.setdefault(name, reference.span)
