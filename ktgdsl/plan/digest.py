"""What a plan trains, as hashes: one with all names, one of the graph whatever its names."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ktgdsl.plan.canonical import Arc, canonical_order

if TYPE_CHECKING:
    from ktgdsl.plan.model import Plan


def content(plan: "Plan") -> dict[str, Any]:
    """Everything that changes a trained bit, names included, as plain data.

    Left out: the graph's name, what was dropped, how often checkpoints are written, where
    files lie (the content of weights counts), how often training is repeated, and the size
    of a split that is not held out.
    """
    facts: dict[str, Any] = plan.model_dump(mode="json")
    del facts["graph"]["name"], facts["graph"]["dropped"], facts["folder"]
    del facts["train"]["checkpoint"], facts["train"]["repeats"]
    if not plan.data.holdout:
        del facts["data"]["validation"]
    for node in facts["graph"]["nodes"]:
        node["frozen"] = node["frozen"] is not None
        if node["weights"] is not None:
            node["weights"] = node["weights"]["sha256"]
    return facts


def digest(plan: "Plan") -> str:
    """SHA-256 of the content."""
    return _hash(content(plan))


def canonical_digest(plan: "Plan") -> str:
    """SHA-256 of the content with auxiliary nodes and all orders made the same.

    Equal for plans that are the same graph: one is the other after renaming auxiliary nodes.
    """
    facts = content(plan)
    graph = facts["graph"]
    targets = set(graph["targets"])
    nodes = {
        node["name"]: _text({**node, "name": node["name"] if node["name"] in targets else None})
        for node in graph["nodes"]
    }
    labels = {edge["source"]["node"] for edge in graph["edges"]} - nodes.keys()
    nodes |= {name: f"label {name}" for name in labels}
    arcs = [Arc(*_ends(edge), _text(_nameless(edge))) for edge in graph["edges"]]
    at = {name: position for position, name in enumerate(canonical_order(nodes, arcs))}
    graph["nodes"] = [nodes[name] for name in sorted(nodes, key=at.__getitem__)]
    graph["edges"] = sorted((at[arc.source], at[arc.destination], arc.label) for arc in arcs)
    graph["targets"] = sorted(targets)
    return _hash(facts)


def _ends(edge: dict[str, Any]) -> tuple[str, str]:
    return edge["source"]["node"], edge["destination"]["node"]


def _nameless(edge: dict[str, Any]) -> dict[str, Any]:
    ends = {end: edge[end]["tap"] for end in ("source", "destination")}
    return {**edge, **ends}


def _text(facts: object) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def _hash(facts: object) -> str:
    return hashlib.sha256(_text(facts).encode()).hexdigest()
