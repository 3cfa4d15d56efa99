"""A pass from graph to graph: many KL edges into one node become one product."""

from collections.abc import Sequence
from operator import getitem

import torch
from torch import Tensor, fx

from ktgdsl.backend import gates, losses, predicates

MANY = 8
"""Edges into a node from which the pass is worth it. The paper's graphs have fewer, so that
each of their edges is computed by itself, to the bit, whatever other edges there are."""


def kl_means(
    source_log_ps: Sequence[Tensor],
    destination_log_p: Tensor,
    scale: float,
    weights: Sequence[Tensor] | None,
) -> tuple[Tensor, ...]:
    """Return `reduce_mean(kl(s, t, scale), w)` of each source s, with as many operators as one.

    Log-probabilities are (B, C, *rest), weights (B, *rest) or all (), the results 0-dim.
    """
    s = torch.stack(list(source_log_ps), dim=-1)
    values = losses.kl(s, destination_log_p.unsqueeze(-1), scale)
    if weights is not None:
        values = (values * torch.stack(list(weights), dim=-1)).to(values.dtype)
    return values.flatten(0, -2).mean(0).unbind()


def batch_edges(graph: fx.Graph) -> fx.Graph:
    """Compute together the edges into a node that differ in their source and gate only."""
    groups: dict[tuple[object, ...], list[fx.Node]] = {}
    for node in graph.nodes:
        if _is_call(node, gates.reduce_mean) and _is_call(node.args[0], losses.kl):
            _, destination, scale = node.args[0].args
            groups.setdefault((destination, scale, _kind(node.args[1])), []).append(node)
    for (_, _, kind), edges in groups.items():
        if len(edges) >= MANY and kind is not _OTHER:
            _batch(graph, edges)
    graph.lint()
    return graph


def _batch(graph: fx.Graph, edges: list[fx.Node]) -> None:
    values = [edge.args[0] for edge in edges]
    calls = [value for value in values if isinstance(value, fx.Node)]
    sources = tuple(call.args[0] for call in calls)
    _, destination, scale = calls[0].args
    weights = None if edges[0].args[1] is None else tuple(edge.args[1] for edge in edges)
    # At the last of them all that they are computed from is there.
    with graph.inserting_after(edges[-1]):
        place = together = graph.call_function(kl_means, (sources, destination, scale, weights))
    for index, edge in enumerate(edges):
        with graph.inserting_after(place):
            place = graph.call_function(getitem, (together, index))
        name = edge.name
        edge.replace_all_uses_with(place)
        graph.erase_node(edge)
        place._rename(name)
        _move_users(place)
    for call in dict.fromkeys(calls):
        if not call.users:
            graph.erase_node(call)


def _move_users(node: fx.Node) -> None:
    """Bring what is computed from a node behind it."""
    for user in list(node.users):
        if user < node:
            node.append(user)
            _move_users(user)


_OTHER = object()


def _kind(weight: object) -> object:
    """Gates that can be stacked: none at all, or each of the samples its own weight."""
    if weight is None:
        return None
    return "samples" if _is_call(weight, predicates.correct) else _OTHER


def _is_call(node: object, function: object) -> bool:
    return isinstance(node, fx.Node) and node.op == "call_function" and node.target is function
