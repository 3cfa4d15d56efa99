"""The plan: a knowledge transfer graph as plain data, every default written out.

Everything behind the front end sees only plans. A plan is frozen, goes to JSON and back
unchanged, and its `digest` names the training that it describes.
"""

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Literal

from ktgdsl.plan.data import DataPlan, Facts, Percent
from ktgdsl.plan.digest import canonical_digest, digest
from ktgdsl.plan.gate_expressions import (
    Constant,
    Gate,
    GateCall,
    Product,
    Sum,
    per_sample,
)
from ktgdsl.plan.graph import (
    FOLLOWERS,
    LABEL,
    LOGITS,
    DerivedNode,
    Dropped,
    Edge,
    Endpoint,
    Graph,
    Labels,
    Node,
    NodeOutput,
    NoSource,
    Part,
    SharedLayers,
    Term,
    WeightsFile,
    node_of,
    supervised,
    tap_of,
)
from ktgdsl.plan.settings import (
    Draw,
    Phase,
    PretrainPlan,
    SearchPlan,
    Space,
    Steps,
    TrainPlan,
)
from ktgdsl.vocabulary.call import (
    Call,
    Data,
)

__all__ = [
    "FOLLOWERS",
    "LABEL",
    "LOGITS",
    "Call",
    "Constant",
    "Data",
    "DataPlan",
    "DerivedNode",
    "Draw",
    "Dropped",
    "Edge",
    "Endpoint",
    "Facts",
    "Gate",
    "GateCall",
    "Graph",
    "Labels",
    "NoSource",
    "Node",
    "NodeOutput",
    "Part",
    "Percent",
    "Phase",
    "Plan",
    "PretrainPlan",
    "Product",
    "SearchPlan",
    "SharedLayers",
    "Space",
    "Steps",
    "Sum",
    "Term",
    "TrainPlan",
    "WeightsFile",
    "node_of",
    "per_sample",
    "supervised",
    "tap_of",
]


class Plan(Data):
    """The meaning of a spec, or of a space: a spec with open values."""

    svg_renderer: ClassVar[Callable[["Plan"], str | None] | None] = None
    """Draws a plan for a notebook. `ktgdsl` sets it: this package may not import `report`."""

    version: Literal[1] = 1
    graph: Graph
    data: DataPlan
    train: TrainPlan
    pretrain: PretrainPlan | None = None
    """The settings of pre-trainings; None without a `pretrain` block."""
    phases: tuple[Phase, ...] = ()
    """In order; without any there is one, of all nodes that learn."""
    search: SearchPlan | None = None
    space: Space | None = None
    """The open values; the rest of the plan is then that of one valid point (package `space`)."""
    folder: str | None = None
    """Where the spec lies: modules that it names are looked up there first."""

    def __repr__(self) -> str:
        graph = self.graph
        counts = [_count(len(graph.nodes), "node"), _count(len(graph.edges), "edge")]
        if graph.derived:
            counts.insert(1, _count(len(graph.derived), "derived node"))
        if self.space is not None:
            counts.append(_count(len(self.space.draws), "open value"))
        targets = "targets" if len(graph.targets) > 1 else "target"
        return (
            f"<Plan {graph.name}: {', '.join(counts)}, {targets} {', '.join(graph.targets)}; "
            f"{self.data.source}, {_count(self.epochs, 'epoch')}>"
        )

    __str__ = __repr__

    def _repr_svg_(self) -> str | None:
        """The picture that a notebook shows; None where the graph is too large for one."""
        return None if Plan.svg_renderer is None else Plan.svg_renderer(self)

    @property
    def epochs(self) -> int:
        """The number of epochs of the whole training, all phases together."""
        return sum(phase.epochs for phase in self.phases) or self.train.epochs

    @property
    def steps(self) -> int:
        """The number of steps of the whole training: k_end of Eq. 6, where it is one phase."""
        return self.epochs * self.data.steps_per_epoch

    def phase_at(self, epoch: int) -> Phase | None:
        """The phase that an epoch is in, counted from 1 over all phases; None without phases."""
        for phase in self.phases:
            if epoch <= phase.epochs:
                return phase
            epoch -= phase.epochs
        return None

    @property
    def pretraining_epochs(self) -> int:
        """The length of each pre-training."""
        return (self.pretrain or self.train).epochs

    @property
    def judges_held_out(self) -> bool:
        """Whether the training depends on the accuracy on held-out samples."""
        blocks = (self.train, *self.phases, *((self.pretrain,) if self.pretrain else ()))
        schedules = [self.train.schedule, *(node.schedule for node in self.graph.nodes)]
        schedules += [phase.schedule for phase in self.phases if phase.schedule is not None]
        if self.pretrain is not None:
            schedules.append(self.pretrain.schedule)
        return any(each.take == "best" or each.stop is not None for each in blocks) or any(
            call.arguments.get("on") == "accuracy" for call in schedules
        )

    @property
    def may_stop(self) -> bool:
        """Whether the training, or a phase of it, may end before its last epoch."""
        return any(each.stop is not None for each in self.phases or (self.train,))

    def to_json(self) -> str:
        """The plan as JSON text; `from_json` gives an equal plan."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Plan":
        """The plan of a JSON text that `to_json` wrote.

        Raises pydantic.ValidationError (a ValueError) when it is not one.
        """
        return cls.model_validate_json(text)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that changes a trained bit, names included."""
        return digest(self.model_dump(mode="json"))

    @cached_property
    def canonical_digest(self) -> str:
        """SHA-256 that is the same for equal graphs, whatever auxiliary nodes are called."""
        return canonical_digest(self.model_dump(mode="json"))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
