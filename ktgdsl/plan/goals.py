"""The objectives of a search that has several: measures of answers, and costs of networks."""

from typing import NamedTuple, cast

from ktgdsl.plan.settings import SearchPlan
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.metrics import Metric

COSTS = ("parameters", "flops")
"""The words of objectives that are minimised, which plans keep negated."""


class Goal(NamedTuple):
    """An objective: `word` is measured of `answer`, a node or one of its heads.

    Its value is a percentage or, of a cost, a number with a minus: all are maximised.
    """

    word: str
    node: str
    head: str | None = None

    @property
    def is_cost(self) -> bool:
        """Whether it is a cost of the network, which is minimised."""
        return self.word in COSTS

    @property
    def answer(self) -> str:
        """The node, or `a.colour`."""
        return self.node if self.head is None else f"{self.node}.{self.head}"

    @property
    def metric(self) -> Metric | None:
        """The measure among those of `train`, None for the accuracy and of a cost."""
        usual = self.is_cost or self.word == "accuracy"
        return None if usual else cast("Metric", self.word)

    @property
    def measure(self) -> str:
        """The objective without its sign, as a spec writes it: `accuracy(a)`, `parameters(a)`."""
        return f"{self.word}({self.answer})"

    def __str__(self) -> str:
        return f"{'-' * self.is_cost}{self.measure}"

    def text(self, value: float) -> str:
        """A value of the objective, for people: `61.20 %`, or `78,042` of a cost."""
        return f"{-value:,.0f}" if self.is_cost else f"{value:.2f} %"


def goal(call: Call) -> Goal:
    """The objective that stands in a plan as `call`."""
    reference = call.arguments["of"]
    assert isinstance(reference, dict)
    tap = reference.get("tap")
    return Goal(call.name, str(reference["node"]), None if tap is None else str(tap))


def goals_of(search: SearchPlan) -> tuple[Goal, ...]:
    """The objectives in the order of the spec; none where there is a single one."""
    return tuple(map(goal, search.goals))


def described(search: SearchPlan) -> str:
    """The list of objectives, as a spec writes it."""
    return f"[{', '.join(map(str, goals_of(search)))}]"
