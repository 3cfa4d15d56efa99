"""`update = sequential`: a training graph for the update of each node, over shared networks."""

from torch import nn

from ktgdsl.backend.emit import module_names
from ktgdsl.backend.frozen import ForwardOnly
from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.plan.graph import node_of
from ktgdsl.plan.model import Plan

WAITS = "learns in its own turn"
"""Why a source is frozen in the graph of another node's update."""


def sequential_graphs(graph: TrainingGraph) -> dict[str, TrainingGraph]:
    """The graph of each node that learns, by name, in the order of declaration.

    In its own graph a node learns from new outputs of its sources (Zhang et al., CVPR 2018,
    Algorithm 1), which need no gradient. They are in train mode, with the statistics of the
    batch, and their running statistics change in their own graph alone, as in the authors' code
    (`train_models.py`); those of a frozen node with `mode = train` change in the first graph
    that has it. A frozen node that nobody learns from is in the first graph.
    """
    plan = graph.plan
    learning = [node.name for node in plan.graph.nodes if node.learns]
    needed = {name: _needed(plan, name) for name in learning}
    used = set().union(*needed.values())
    needed[learning[0]] |= {n.name for n in plan.graph.nodes if n.name not in used}
    at = module_names(plan)
    seen: set[str] = set(learning)
    graphs = {}
    for name in learning:
        own = _plan(plan, name, needed[name])
        modules: dict[str, nn.Module] = {}
        for node, attribute in module_names(own).items():
            whole = getattr(graph, at[node])
            computed_again = node != name and node in seen
            modules[attribute] = ForwardOnly(graph.networks[node]) if computed_again else whole
        seen |= needed[name]
        graphs[name] = TrainingGraph(own, modules)
    return graphs


def step_code(graph: TrainingGraph) -> str:
    """The Python that a step runs: the code of the graph, or of one graph after the other."""
    if graph.plan.train.update == "simultaneous":
        return graph.code
    parts = [
        f"# The turn of {name}\n\n{each.code}" for name, each in sequential_graphs(graph).items()
    ]
    return "\n\n".join(parts)


def _needed(plan: Plan, name: str) -> set[str]:
    """The nodes whose outputs the losses of a node are computed from, itself included."""
    sources = (node_of(edge.source) for edge in plan.graph.into(name))
    return {name, *(source for source in sources if source is not None)}


def _plan(plan: Plan, name: str, needed: set[str]) -> Plan:
    """The part of a plan that updates a node: all other nodes in it are frozen."""
    nodes = tuple(
        node if node.name == name or not node.learns else node.model_copy(update={"frozen": WAITS})
        for node in plan.graph.nodes
        if node.name in needed
    )
    part = {"nodes": nodes, "edges": tuple(plan.graph.into(name)), "targets": (name,)}
    return plan.model_copy(update={"graph": plan.graph.model_copy(update=part)})
