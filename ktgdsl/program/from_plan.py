"""The program of a plan: its phases, their updates, and what each update calls."""

import re

from ktgdsl.plan.model import Edge, Node, Plan, node_of
from ktgdsl.program.edges import edge_loss
from ktgdsl.program.model import Access, Learner, Module, Phase, Program, StageCall, Update


def program_of(plan: Plan, steps: int | None = None) -> Program:
    """The program of a plan that has the facts of its data; ValueError without them.

    `steps` is the length of the training if it is another than the plan's.
    """
    names = module_names(plan)
    graph = plan.graph
    learning = [node for node in graph.nodes if node.learns]
    phase = Phase(
        name=None,
        epochs=plan.train.epochs,
        steps=plan.steps if steps is None else steps,
        learners=tuple(
            Learner(node.name, (names[node.name],), node.optimizer, node.schedule)
            for node in learning
        ),
        updates=_updates(plan, names),
        take="last",
    )
    return Program(tuple(Module(name, node) for node, name in names.items()), (phase,))


def module_names(plan: Plan) -> dict[str, str]:
    """The attribute that holds each node's network: `node_a`; an array's `p[0]` is `node_p_0`.

    The prefix keeps names such as `train` or `code` apart from the module's own.
    """
    names: dict[str, str] = {}
    for node in plan.graph.nodes:
        name = f"node_{identifier(node.name)}"
        while name in names.values():
            name += "_"
        names[node.name] = name
    return names


def identifier(name: str) -> str:
    """A name of the language as a part of a name in Python."""
    return re.sub(r"\W+", "_", name).strip("_")


def _updates(plan: Plan, names: dict[str, str]) -> tuple[Update, ...]:
    """One update of all learners, or with `update = sequential` one of each in turn.

    In its own update a node learns from new outputs of its sources (Zhang et al., CVPR 2018,
    Algorithm 1), which need no gradient. They are in train mode, with the statistics of the
    batch, and their running statistics change in their own update alone, as in the authors' code
    (`train_models.py`); those of a frozen node with `mode = train` change in the first update
    that calls it. A frozen node that nobody learns from is called in the first update.
    """
    nodes = plan.graph.nodes
    learning = tuple(node.name for node in nodes if node.learns)
    if plan.train.update == "simultaneous":
        groups = {learning: {node.name for node in nodes}}
    else:
        groups = {(name,): {name, *_sources(plan.graph.into(name))} for name in learning}
        used = set().union(*groups.values())
        groups[learning[:1]] |= {node.name for node in nodes} - used
    called: set[str] = set()
    updates = []
    for learns, needed in groups.items():
        calls = [
            StageCall(names[node.name], node.name, _access(node, learns, called))
            for node in nodes
            if node.name in needed
        ]
        called |= needed
        edges = [
            edge_loss(edge, plan.train.reduce, plan.train.epochs, plan.data.steps_per_epoch)
            for edge in plan.graph.edges
            if edge.destination.node in learns
        ]
        updates.append(Update(learns, tuple(calls), tuple(edges)))
    return tuple(updates)


def _sources(edges: tuple[Edge, ...]) -> set[str]:
    return {source for edge in edges if (source := node_of(edge.source)) is not None}


def _access(node: Node, learns: tuple[str, ...], called: set[str]) -> Access:
    if node.name in learns:
        return "learn"
    return "source" if node.learns or node.name in called else "frozen"
