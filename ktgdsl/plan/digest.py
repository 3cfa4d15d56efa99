"""Digests of a plan: an exact one, and one that is the same for isomorphic graphs.

Both take the plan as JSON data, so that nothing here depends on the model.
"""

import hashlib
import json
from copy import deepcopy
from typing import Any

from ktgdsl.plan.isomorphism import Arc, canonical_order


def content(plan: dict[str, Any]) -> dict[str, Any]:
    """Everything in a plan's JSON data that changes a trained bit, names included.

    Left out: the graph's name, what was dropped, how often checkpoints are written, where
    files lie (the content of weights counts), how often training is repeated, how data are
    loaded, the size of a split that is not held out, and how a space is searched, but for
    what its points are.
    """
    facts = deepcopy(plan)
    del facts["graph"]["name"], facts["graph"]["dropped"], facts["folder"], facts["search"]
    del facts["train"]["checkpoint"], facts["train"]["repeats"]
    del facts["data"]["root"], facts["data"]["workers"]
    if not facts["data"]["holdout"]:
        del facts["data"]["validation"]
    for node in facts["graph"]["nodes"]:
        node["frozen"] = node["frozen"] is not None
        if node["weights"] is not None:
            node["weights"] = node["weights"]["sha256"]
    return facts


def digest(plan: dict[str, Any]) -> str:
    """SHA-256 of the content of a plan's JSON data."""
    return _hash(content(plan))


def canonical_digest(plan: dict[str, Any]) -> str:
    """SHA-256 of the content with auxiliary nodes and all orders made the same.

    Equal for plans that are the same graph: one is the other after renaming auxiliary nodes,
    with every mention of them. Where nodes are updated in turn only renamings that keep their
    order count.
    """
    facts = content(plan)
    graph = facts["graph"]
    targets = set(graph["targets"])
    sequential = facts["train"]["update"] == "sequential"
    nodes: dict[str, str] = {}
    for position, node in enumerate([*graph["nodes"], *graph["derived"]]):
        own = {
            **node,
            "name": node["name"] if node["name"] in targets else None,
            "turn": position if sequential else None,
            "phases": [i for i, p in enumerate(facts["phases"]) if node["name"] in p["learn"]],
        }
        nodes[node["name"]] = _text(_without_unread(_unnamed(own)))
    sources = {edge["source"]["node"] for edge in graph["edges"]} - nodes.keys()
    nodes |= {name: f"label {name}" for name in sources}
    arcs = [Arc(*_endpoints(edge), _text(_nameless(edge))) for edge in graph["edges"]]
    arcs += [arc for node in graph["derived"] for arc in _membership_arcs(node)]
    for number, share in enumerate(graph["shares"]):
        # A share is told apart by what it shares, and its first node gives the weights.
        name = f"share {number}"
        nodes[name] = _text({**share, "nodes": None})
        arcs += [
            Arc(node, name, "first" if i == 0 else "") for i, node in enumerate(share["nodes"])
        ]
    at = {name: position for position, name in enumerate(canonical_order(nodes, arcs))}
    graph["nodes"] = [nodes[name] for name in sorted(nodes, key=at.__getitem__)]
    graph["edges"] = sorted((at[arc.source], at[arc.destination], arc.label) for arc in arcs)
    graph["targets"] = sorted(targets)
    graph["derived"] = graph["shares"] = None
    # Every node has its own by now.
    facts["train"]["optimizer"] = facts["train"]["schedule"] = None
    facts["phases"] = [{**phase, "learn": None} for phase in facts["phases"]]
    return _hash(facts)


def _unnamed(node: dict[str, Any]) -> dict[str, Any]:
    """A node made from others, without the names of those; arcs say them."""
    if "made" not in node:
        return node
    combine = node["made"]["arguments"].get("combine")
    if combine and "by" in combine["arguments"]:
        by = {**combine, "arguments": {**combine["arguments"], "by": None}}
        made = {**node["made"], "arguments": {**node["made"]["arguments"], "combine": by}}
        node = {**node, "made": made}
    return {**node, "sources": None}


def _without_unread(node: dict[str, Any]) -> dict[str, Any]:
    """A node without the settings that nothing reads."""
    unread: set[str] = set()
    if "frozen" in node:
        unread |= {"mode"} if not node["frozen"] else set()
        unread |= {"optimizer", "schedule"} if node["frozen"] and node["weights"] else set()
    return {name: value for name, value in node.items() if name not in unread}


def _membership_arcs(node: dict[str, Any]) -> list[Arc]:
    arcs = [Arc(source, node["name"], "made from") for source in node["sources"]]
    combine = node["made"]["arguments"].get("combine")
    if combine and "by" in combine["arguments"]:
        by = combine["arguments"]["by"]
        arcs.append(Arc(by["node"], node["name"], f"by {by['tap']}"))
    return arcs


def _endpoints(edge: dict[str, Any]) -> tuple[str, str]:
    return edge["source"]["node"], edge["destination"]["node"]


def _nameless(edge: dict[str, Any]) -> dict[str, Any]:
    taps = {endpoint: edge[endpoint]["tap"] for endpoint in ("source", "destination")}
    return {**edge, **taps}


def _text(facts: object) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def _hash(facts: object) -> str:
    return hashlib.sha256(_text(facts).encode()).hexdigest()
