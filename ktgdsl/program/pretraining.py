"""Pre-training as a training of its own: the plan of a frozen node alone on the labels."""

from ktgdsl.plan.heads import answers
from ktgdsl.plan.model import Graph, Node, Plan, SharedLayers, supervised

NAME = "pretrained"
"""The name of the node in its own plan; its name in the graph that needs it does not matter."""


def pretraining_plan(plan: Plan, node: Node, seed: int, name: str = NAME) -> Plan:
    """The plan that trains a frozen node's network alone on the labels (paper, Sec. 3.4).

    With the same data, the settings of `pretrain` or else of `train`, and the node's own optimiser
    and schedule where it has them. The node is called `name`: by default its own name is no part
    of the plan, so that nodes with equal networks share one. Nodes that share layers are trained
    together, and are called `name` with a number, or as they are if `name` is the node's own.
    """
    sharers = sharers_of(plan.graph, node)
    names = pretraining_names(plan.graph, node)
    if name == node.name:
        names = {each.name: each.name for each in sharers}
    elif len(sharers) == 1:
        names = {node.name: name}
    own = {} if plan.pretrain is None else dict(plan.pretrain)
    train = plan.train.model_copy(
        update={
            **own,
            "optimizer": sharers[0].optimizer,
            "schedule": sharers[0].schedule,
            "seed": seed,
            "repeats": 1,
            "metrics": (),
            "aggregate": "sum",  # of transfer losses, and there is none
            "update": "simultaneous",  # of one node
        }
    )
    graph = Graph(
        name=name,
        targets=tuple(names.values()),
        nodes=tuple(
            Node(
                name=names[each.name],
                network=each.network,
                optimizer=each.optimizer,
                schedule=each.schedule,
                heads=each.heads,
            )
            for each in sharers
        ),
        edges=tuple(
            supervised(*answer)
            for each in sharers
            for answer in answers(names[each.name], each.heads)
        ),
        shares=tuple(
            SharedLayers(
                nodes=tuple(names[each] for each in share.nodes),
                layers=share.layers,
                grad=share.grad,
            )
            for share in plan.graph.shares
            if names.keys() >= {*share.nodes}
        ),
    )
    data = plan.data.model_copy(update={"views": 1})  # no label reads another
    return Plan(graph=graph, data=data, train=train, folder=plan.folder)


def pretraining_names(graph: Graph, node: Node) -> dict[str, str]:
    """The names of a node, and of those that share its layers, in the plan that pre-trains them."""
    sharers = sharers_of(graph, node)
    if len(sharers) == 1:
        return {node.name: NAME}
    return {each.name: f"{NAME}{number}" for number, each in enumerate(sharers)}


def sharers_of(graph: Graph, node: Node) -> tuple[Node, ...]:
    """The node, and all that share layers with it or with one that does, in order."""
    found = {node.name}
    for _ in graph.shares:
        found.update(name for each in graph.shares if found & {*each.nodes} for name in each.nodes)
    return tuple(each for each in graph.nodes if each.name in found)
