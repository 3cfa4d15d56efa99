"""Small plans made by hand, so that tests of what trains them need no parser."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ktgdsl.plan.model import (
    LABEL,
    Call,
    Constant,
    DataPlan,
    Edge,
    Facts,
    Gate,
    GateCall,
    Graph,
    Labels,
    Node,
    NodeOutput,
    Part,
    Plan,
    Term,
    TrainPlan,
)

RESNET8 = Call(name="resnet", arguments={"depth": 8, "stride": 1})
NARROW = Call(name="resnet", arguments={"depth": 8, "stride": 1, "width": 4})
"""ResNet8 with a quarter of its channels, for trainings in large batches."""
DIGITS = Call(name="digits")
CONSTANT = Call(name="constant", arguments={"warmup": 0.0})
THROUGH = Constant(value=1.0)
LINEAR = GateCall(gate=Call(name="linear", arguments={"start": 0.0, "stop": 1.0}), per_sample=False)
CORRECT = GateCall(gate=Call(name="correct"), per_sample=True)


def sgd(
    lr: float = 0.1, momentum: float = 0.9, nesterov: bool = True, weight_decay: float = 5e-4
) -> Call:
    """SGD with the paper's settings unless told otherwise."""
    given = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    return Call(name="sgd", arguments=dict(given))


def adamw(lr: float = 1e-3) -> Call:
    """AdamW with the usual settings."""
    given = {"lr": lr, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}
    return Call(name="adamw", arguments=dict(given))


def wrn10(dropout: float = 0.0) -> Call:
    """The smallest Wide ResNet."""
    given = {"depth": 10, "widen": 1, "dropout": dropout, "stride": 1}
    return Call(name="wrn", arguments=dict(given))


def edge(source: str, destination: str, gate: Gate = THROUGH) -> Edge:
    """Cross-entropy from the label, `kl` from a node."""
    loss = (
        Call(name="ce", arguments={"smoothing": 0.0})
        if source == LABEL
        else Call(name="kl", arguments={"T": 1.0, "scale": 1.0})
    )
    term = Term(parts=(Part(coefficient=1.0, loss=loss),), gate=gate)
    endpoint = Labels() if source == LABEL else NodeOutput(node=source)
    return Edge(source=endpoint, destination=NodeOutput(node=destination), terms=(term,))


def tiny_plan(
    nodes: Iterable[str] = ("a", "b"),
    edges: Sequence[Edge | tuple[str, str]] | None = None,
    *,
    network: Call = RESNET8,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    targets: Iterable[str] | None = None,
    data: Mapping[str, Any] | None = None,
    **train: Any,
) -> Plan:
    """A plan of nodes with a network, by default ResNet8, on digits, in batches of 16, with SGD.

    The rate is constant. Edges are pairs or made by `edge`; by default the label teaches every
    node. `settings` has fields of nodes by name, `data` and `train` fields of the blocks.
    """
    names = tuple(nodes)
    given = [(LABEL, name) for name in names] if edges is None else list(edges)
    optimizer = train.get("optimizer", sgd())
    schedule = train.get("schedule", CONSTANT)
    made = []
    for name in names:
        fields = {"network": network, "optimizer": optimizer, "schedule": schedule}
        made.append(Node(name=name, **{**fields, **(settings or {}).get(name, {})}))
    graph = Graph(
        name="tiny",
        targets=tuple(names[:1] if targets is None else targets),
        nodes=tuple(made),
        edges=tuple(each if isinstance(each, Edge) else edge(*each) for each in given),
    )
    facts: dict[str, Any] = {
        "classes": 10,
        "shape": (1, 8, 8),
        "train_samples": 1297,
        "test_samples": 500,
    }
    data_fields: dict[str, Any] = {
        "source": DIGITS,
        "batch": 16,
        "validation": 259,
        "holdout": False,
        "augment": "none",
    }
    for name, value in (data or {}).items():
        (facts if name in facts else data_fields)[name] = value
    train_fields: dict[str, Any] = {
        "epochs": 1,
        "optimizer": optimizer,
        "schedule": schedule,
        "precision": "fp32",
        "compile": "off",
        "seed": 0,
        "repeats": 1,
        "update": "simultaneous",
        "aggregate": "sum",
        "reduce": "mean",
        "clip": None,
        "checkpoint": 1,
    }
    return Plan(
        graph=graph,
        data=DataPlan(facts=Facts(**facts), **data_fields),
        train=TrainPlan(**{**train_fields, **train}),
    )
