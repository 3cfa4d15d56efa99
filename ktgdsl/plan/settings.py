"""The settings of a plan: training, phases, search, and the open values of a space."""

from typing import Literal, cast

from pydantic import JsonValue

from ktgdsl.vocabulary.call import Call, Data, format_number
from ktgdsl.vocabulary.metrics import Metric


class Steps(Data):
    """So many steps of the training."""

    steps: int

    def __str__(self) -> str:
        return f"{self.steps} step{'s' * (self.steps > 1)}"


class TrainPlan(Data):
    """The settings of `train`. `clip` is the largest gradient norm of a node, None for no limit."""

    epochs: int
    optimizer: Call
    schedule: Call
    precision: Literal["fp32", "bf16", "auto"]
    compile: Literal["off", "on", "auto"]
    seed: int
    repeats: int
    update: Literal["simultaneous", "sequential"]
    aggregate: Literal["sum", "mean"]
    reduce: Literal["mean", "active", "sum"]
    on_zero: Literal["step", "skip"] = "step"
    clip: float | None
    sync_bn: bool = False
    """Whether batch norms of several processes have the statistics of the whole batch."""
    take: Literal["last", "best"] = "last"
    """The epoch whose weights a training without phases ends with; phases have their own."""
    stop: Call | None = None
    """When a training without phases ends early; phases have their own. None is never."""
    metrics: tuple[Metric, ...] = ()
    """The metrics that are measured after each epoch, besides the accuracy."""
    checkpoint: int | Steps
    """Epochs or steps between checkpoints; one is written at the end too."""

    @property
    def checkpoint_steps(self) -> int | None:
        """Steps between checkpoints; None where they are written at the end of epochs alone."""
        return self.checkpoint.steps if isinstance(self.checkpoint, Steps) else None


class PretrainPlan(Data):
    """The settings of `pretrain`, of nodes that are pre-trained; those of `train` where silent."""

    epochs: int
    optimizer: Call
    schedule: Call
    precision: Literal["fp32", "bf16", "auto"]
    compile: Literal["off", "on", "auto"]
    reduce: Literal["mean", "active", "sum"]
    on_zero: Literal["step", "skip"]
    clip: float | None
    take: Literal["last", "best"] = "last"
    stop: Call | None = None


class Phase(Data):
    """A phase of the training: only the nodes of `learn` are updated, the others are frozen.

    `optimizer` and `schedule` are None where the nodes' own are used.
    """

    name: str
    learn: tuple[str, ...]
    epochs: int
    optimizer: Call | None
    schedule: Call | None
    take: Literal["last", "best"]
    stop: Call | None = None
    """When it ends before its last epoch; None is never."""


class SearchPlan(Data):
    """The settings of `search`. `epochs` is the length of a trial that is not pruned."""

    trials: int
    sampler: Call
    pruner: Call
    objective: Call
    """The measure that judges trials after each epoch: of several objectives the first one."""
    goals: tuple[Call, ...] = ()
    """All objectives where there are several, each of which is maximised: costs negated."""
    epochs: int
    confirm: int
    keep: int = 0
    """The number of best trials whose trained networks are kept."""
    dedupe: bool
    timeout: float | None = None
    """Hours after which no further trial begins."""
    workers: int | None

    @property
    def node(self) -> str:
        """The node whose accuracy, or another measure, is the objective."""
        return str(self._of["node"])

    @property
    def head(self) -> str | None:
        """The head of the node that is measured; None for all of it."""
        return str(self._of["tap"]) if "tap" in self._of else None

    @property
    def answer(self) -> str:
        """The node that is measured, or one of its heads, such as `a.colour`."""
        return self.node if self.head is None else f"{self.node}.{self.head}"

    @property
    def metric(self) -> Metric | None:
        """The measure, None for the accuracy."""
        name = self.objective.name
        return None if name == "accuracy" else cast("Metric", name)

    @property
    def measured(self) -> str:
        """The objective in words, such as "accuracy of a"."""
        return f"{self.objective.name} of {self.answer}"

    @property
    def _of(self) -> dict[str, JsonValue]:
        reference = self.objective.arguments["of"]
        assert isinstance(reference, dict)
        return reference

    @property
    def judged_on(self) -> Literal["validation", "test"]:
        """The split on which trials are judged."""
        return "test" if self.objective.arguments["on"] == "test" else "validation"


class Draw(Data):
    """An open value of a space: one of `options`, or a number from `low` to `high`, both included.

    It is an integer where `low` and `high` are; `log` draws on a log scale.
    """

    name: str
    options: tuple[str, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False

    @property
    def choices(self) -> int | None:
        """The number of possible values; None for a range of real numbers."""
        if self.options:
            return len(self.options)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return self.high - self.low + 1
        return 1 if self.low == self.high else None

    def __str__(self) -> str:
        if self.options:
            return " | ".join(self.options)
        low, high = format_number(self.low or 0), format_number(self.high or 0)
        return f"log({low} .. {high})" if self.log else f"{low} .. {high}"


class Space(Data):
    """The open values of a plan; `text` is its whole spec, formatted, without `use`."""

    text: str
    draws: tuple[Draw, ...]
