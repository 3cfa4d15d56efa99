"""The plan: a knowledge transfer graph as plain data, every default written out.

Everything behind the front end sees only plans. A plan is frozen, goes to JSON and back
unchanged, and its `digest` names the training that it describes.
"""

from functools import cached_property
from typing import Literal

from ktgdsl.plan.gate_expressions import Constant as Constant
from ktgdsl.plan.gate_expressions import Gate as Gate
from ktgdsl.plan.gate_expressions import Product as Product
from ktgdsl.plan.gate_expressions import Sum as Sum
from ktgdsl.plan.gate_expressions import Weight as Weight
from ktgdsl.plan.gate_expressions import per_sample as per_sample
from ktgdsl.plan.graph import LABEL as LABEL
from ktgdsl.plan.graph import LOGITS as LOGITS
from ktgdsl.plan.graph import Derived as Derived
from ktgdsl.plan.graph import Dropped as Dropped
from ktgdsl.plan.graph import Edge as Edge
from ktgdsl.plan.graph import Endpoint as Endpoint
from ktgdsl.plan.graph import Graph as Graph
from ktgdsl.plan.graph import Labels as Labels
from ktgdsl.plan.graph import Node as Node
from ktgdsl.plan.graph import NodeOutput as NodeOutput
from ktgdsl.plan.graph import NoSource as NoSource
from ktgdsl.plan.graph import Part as Part
from ktgdsl.plan.graph import Share as Share
from ktgdsl.plan.graph import Term as Term
from ktgdsl.plan.graph import Weights as Weights
from ktgdsl.plan.graph import node_of as node_of
from ktgdsl.plan.graph import tap_of as tap_of
from ktgdsl.plan.settings import DataPlan as DataPlan
from ktgdsl.plan.settings import Draw as Draw
from ktgdsl.plan.settings import Facts as Facts
from ktgdsl.plan.settings import Percent as Percent
from ktgdsl.plan.settings import Phase as Phase
from ktgdsl.plan.settings import SearchPlan as SearchPlan
from ktgdsl.plan.settings import Space as Space
from ktgdsl.plan.settings import TrainPlan as TrainPlan
from ktgdsl.vocabulary.call import Call as Call
from ktgdsl.vocabulary.call import Data as Data


class Plan(Data):
    """What a spec means, or a space: a spec with values left open."""

    version: Literal[1] = 1
    graph: Graph
    data: DataPlan
    train: TrainPlan
    phases: tuple[Phase, ...] = ()
    """In order; without any there is one, of all nodes that learn."""
    search: SearchPlan | None = None
    space: Space | None = None
    """What is open; the rest of the plan is then that of one valid point (`plan.space`)."""
    folder: str | None = None
    """Where the spec lies: modules that it names are looked up there first."""

    @property
    def steps(self) -> int:
        """k_end of Eq. 6: the number of steps of the whole training."""
        return self.train.epochs * self.data.steps_per_epoch

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
        from ktgdsl.plan.digest import digest

        return digest(self)

    @cached_property
    def canonical_digest(self) -> str:
        """SHA-256 that is the same for equal graphs, whatever auxiliary nodes are called."""
        from ktgdsl.plan.digest import canonical_digest

        return canonical_digest(self)
