"""Pre-training as a training of its own: the plan of a frozen node alone on the labels."""

from ktgdsl.plan.model import Graph, Node, Plan, supervised

NAME = "pretrained"
"""The name of the node in its own plan; its name in the graph that needs it does not matter."""


def pretraining_plan(plan: Plan, node: Node, seed: int, name: str = NAME) -> Plan:
    """The plan that trains a frozen node's network alone on the labels (paper, Sec. 3.4).

    With the same data, the settings of `pretrain` or else of `train`, and the node's own optimiser
    and schedule where it has them. The node is called `name`: by default its own name is no part
    of the plan, so that nodes with equal networks share one.
    """
    alone = Node(name=name, network=node.network, optimizer=node.optimizer, schedule=node.schedule)
    own = {} if plan.pretrain is None else dict(plan.pretrain)
    train = plan.train.model_copy(
        update={
            **own,
            "optimizer": node.optimizer,
            "schedule": node.schedule,
            "seed": seed,
            "repeats": 1,
            "aggregate": "sum",  # of transfer losses, and there is none
            "update": "simultaneous",  # of one node
        }
    )
    graph = Graph(name=name, targets=(name,), nodes=(alone,), edges=(supervised(name),))
    data = plan.data.model_copy(update={"views": 1})  # labels are learned from the first alone
    return Plan(graph=graph, data=data, train=train, folder=plan.folder)
