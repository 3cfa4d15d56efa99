"""Digests of a plan: an exact one, and a canonical one, equal for isomorphic graphs.

Both take the plan as JSON data, so that this module does not depend on the model.
"""

import hashlib
import json
from typing import Any

from ktgdsl.plan.isomorphism import Arc, canonical_order


def content(plan: dict[str, Any]) -> dict[str, Any]:
    """Everything in a plan's JSON data that changes a trained bit, names included.

    Left out: the graph's name; dropped nodes and edges; the interval of checkpoints; what is
    measured; paths (a weights file counts by its SHA-256); which outputs are kept; the number of
    repeats; the workers that load data; how many images are evaluated at once; the size of a split
    that is not held out; the settings of pre-trainings where there is none or they are those of
    `train`; and the settings of a search. What a space leaves open is part of it. Settings that
    are newer than the first plans are left out while they have their defaults ("newer" below), so
    that the digests of older plans stay.
    """
    facts = _copied(plan)
    pretrain = facts.pop("pretrain") or {}
    pretrained = _pretrained(facts["graph"]["nodes"])
    differs = any(facts["train"][name] != value for name, value in pretrain.items())
    if pretrained and differs:
        facts["pretrain"] = pretrain
    if facts["phases"] and (not pretrained or differs):
        del facts["train"]["take"], facts["train"]["stop"]  # phases have their own
    for part in (facts["train"], *facts["phases"], facts.get("pretrain", {})):
        if part.get("stop", 0) is None:
            del part["stop"]  # newer
    for part in (facts["train"], facts.get("pretrain", {})):
        if part.get("take") == "last":
            del part["take"]  # newer
    del facts["graph"]["name"], facts["graph"]["dropped"], facts["folder"], facts["search"]
    del facts["train"]["checkpoint"], facts["train"]["repeats"], facts["train"]["metrics"]
    del facts["data"]["root"], facts["data"]["workers"], facts["data"]["evaluation_batch"]
    if not facts["train"]["sync_bn"]:
        del facts["train"]["sync_bn"]  # newer
    if facts["data"]["drop_last"]:
        del facts["data"]["drop_last"]  # newer
    if not facts["data"]["holdout"]:
        del facts["data"]["validation"]
    for part, name in ((facts["data"], "labels"), (facts["data"]["facts"], "classes_by_label")):
        if part is not None and not part[name]:
            del part[name]  # newer
    for part, names in (
        (facts["data"], ("resize", "crop", "mean", "std", "labeled_batch")),
        (facts["data"]["facts"], ("train_labeled",)),
    ):
        for name in names:
            if part is not None and part[name] is None:
                del part[name]  # newer
    if facts["data"]["facts"] is not None and not facts["data"]["facts"]["masks"]:
        del facts["data"]["facts"]["masks"]  # newer
    for node in facts["graph"]["nodes"]:
        node["frozen"] = node["frozen"] is not None
        del node["cache"]
        if not node["heads"]:
            del node["heads"]
        if isinstance(node["weights"], dict):
            node["weights"] = node["weights"]["sha256"]
    return facts


def _copied(plan: dict[str, Any]) -> dict[str, Any]:
    """A copy of the parts that `content` and `canonical_digest` change: a deep copy is slow."""
    graph, data, pretrain = plan["graph"], plan["data"], plan["pretrain"]
    facts = data["facts"]
    return {
        **plan,
        "graph": {**graph, "nodes": [{**node} for node in graph["nodes"]]},
        "data": {**data, "facts": facts and {**facts}},
        "train": {**plan["train"]},
        "pretrain": pretrain and {**pretrain},
        "phases": [{**phase} for phase in plan["phases"]],
    }


def digest(plan: dict[str, Any]) -> str:
    """SHA-256 of the content of a plan's JSON data."""
    return _hash(content(plan))


def canonical_digest(plan: dict[str, Any]) -> str:
    """SHA-256 of the content without names of auxiliary nodes, in a canonical order.

    Equal for two plans where renaming auxiliary nodes, wherever they are mentioned, makes one
    into the other. Under `update = sequential` the order of nodes counts too.
    """
    facts = content(plan)
    graph = facts["graph"]
    graph_nodes = graph["nodes"]
    targets = set(graph["targets"])
    sequential = facts["train"]["update"] == "sequential"
    nodes: dict[str, str] = {}
    for position, node in enumerate([*graph["nodes"], *graph["derived"]]):
        description = {
            **node,
            "name": node["name"] if node["name"] in targets else None,
            "turn": position if sequential else None,
            "phases": _learning(node, facts["phases"]),
        }
        if description["phases"]:  # which say how it learns
            description |= {"optimizer": None, "schedule": None}
        nodes[node["name"]] = _text(_without_unread(_without_sources(description)))
    # What is left are the labels, and "" of unary terms; neither is renamed.
    sources = {edge["source"]["node"] for edge in graph["edges"]} - nodes.keys()
    nodes |= {name: f"label {name}" for name in sources}
    arcs = [Arc(*_nodes_of(edge), _text(_without_nodes(edge))) for edge in graph["edges"]]
    arcs += [arc for node in graph["derived"] for arc in _membership_arcs(node)]
    for number, share in enumerate(graph["shares"]):
        # Shared layers are a node of their own; the first sharer, which gives the initial
        # weights, is marked.
        name = f"share {number}"
        nodes[name] = _text({**share, "nodes": None})
        arcs += [
            Arc(node, name, "first" if i == 0 else "") for i, node in enumerate(share["nodes"])
        ]
    order = canonical_order(nodes, arcs)
    at = {name: position for position, name in enumerate(order)}
    graph["nodes"] = [nodes[name] for name in order]
    graph["edges"] = sorted((at[arc.source], at[arc.destination], arc.label) for arc in arcs)
    graph["targets"] = sorted(targets)
    graph["derived"] = graph["shares"] = None
    # Each node has its own optimiser and schedule written out.
    for block in ("train", "pretrain"):
        facts.get(block, {}).update(optimizer=None, schedule=None)
    unread = {"learn": None, "optimizer": None, "schedule": None}
    facts["phases"] = [{**phase, **unread} for phase in facts["phases"]]
    if facts["phases"] and ("pretrain" in facts or not _pretrained(graph_nodes)):
        del facts["train"]["epochs"]  # each phase has its own
    return _hash(facts)


def _learning(node: dict[str, Any], phases: list[dict[str, Any]]) -> list[list[Any]]:
    """The phases that a node learns in, each with the optimiser and the schedule of the node."""
    calls = ("optimizer", "schedule")
    return [
        [number, *(phase[name] or node[name] for name in calls)]
        for number, phase in enumerate(phases)
        if node["name"] in phase["learn"]
    ]


def _pretrained(nodes: list[dict[str, Any]]) -> bool:
    """Whether one of the nodes is pre-trained."""
    return any(node["frozen"] and node["weights"] is None for node in nodes)


def _without_sources(node: dict[str, Any]) -> dict[str, Any]:
    """A derived node without the names of its sources, which are arcs instead."""
    if "made" not in node:
        return node
    combine = node["made"]["arguments"].get("combine")
    if combine and "by" in combine["arguments"]:
        by = {**combine, "arguments": {**combine["arguments"], "by": None}}
        made = {**node["made"], "arguments": {**node["made"]["arguments"], "combine": by}}
        node = {**node, "made": made}
    return {**node, "sources": None}


def _without_unread(node: dict[str, Any]) -> dict[str, Any]:
    """A node without the settings that its training does not read."""
    unread: set[str] = set()
    if "frozen" in node:
        unread |= {"mode"} if not node["frozen"] else set()
        unread |= {"optimizer", "schedule"} if node["frozen"] and node["weights"] else set()
    return {name: value for name, value in node.items() if name not in unread}


def _membership_arcs(node: dict[str, Any]) -> list[Arc]:
    """Arcs into a derived node from its sources and from the tap that its gate reads."""
    arcs = [Arc(source, node["name"], "made from") for source in node["sources"]]
    combine = node["made"]["arguments"].get("combine")
    if combine and "by" in combine["arguments"]:
        by = combine["arguments"]["by"]
        arcs.append(Arc(by["node"], node["name"], f"by {by['tap']}"))
    return arcs


def _nodes_of(edge: dict[str, Any]) -> tuple[str, str]:
    return edge["source"]["node"], edge["destination"]["node"]


def _without_nodes(edge: dict[str, Any]) -> dict[str, Any]:
    """An edge with its taps in place of its endpoints."""
    taps = {endpoint: edge[endpoint]["tap"] for endpoint in ("source", "destination")}
    return {**edge, **taps}


def _text(facts: object) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def _hash(facts: object) -> str:
    return hashlib.sha256(_text(facts).encode()).hexdigest()
