"""The settings of a plan: data, training, phases, search, and what is left open. Frozen data."""

from typing import Literal

from ktgdsl.vocabulary.call import Call, Data, format_number


class Percent(Data):
    """A share of samples whose number is not known before the data are loaded."""

    percent: float


class Facts(Data):
    """What is known of a data set: counts of samples, `shape` is (channels, height, width)."""

    classes: int
    shape: tuple[int, int, int]
    train_samples: int
    test_samples: int


class DataPlan(Data):
    """The data of a run. `facts` is None for the user's own data until they are loaded."""

    source: Call
    facts: Facts | None
    batch: int
    samples: int | Percent | None = None
    """How many of the training samples are used, None for all."""
    validation: int | Percent
    """How many of those a held-out split takes (drawn only under `holdout`)."""
    holdout: bool
    augment: Literal["none", "paper", "standard"]
    root: str | None = None
    """The folder of the data, absolute."""
    classes_expected: int | None = None
    """How many classes the user says there are."""
    labeled: int | Percent | None = None
    """How many of the used training samples keep their label, None for all."""
    views: int = 1
    workers: int = 0

    @property
    def known(self) -> Facts:
        """The facts; ValueError when the data have to be loaded first."""
        if self.facts is None:
            raise ValueError("these data are not read yet: `ktgdsl.complete(plan)` does it")
        return self.facts

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.known.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image, in pixels."""
        return self.known.shape

    @property
    def train_samples(self) -> int:
        """How many training samples are used, to learn from or held out."""
        whole = self.known.train_samples
        return whole if self.samples is None else _count(self.samples, whole)

    @property
    def held_samples(self) -> int:
        """How many training samples a held-out split takes."""
        return _count(self.validation, self.train_samples)

    @property
    def labeled_samples(self) -> int | None:
        """How many training samples keep their label, None for all."""
        return None if self.labeled is None else _count(self.labeled, self.train_samples)

    @property
    def learned_samples(self) -> int:
        """How many samples training draws from."""
        return self.train_samples - (self.held_samples if self.holdout else 0)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches only: the rest of an epoch's shuffle is left out, as in the paper's code.

        A data set smaller than the batch is one batch.
        """
        return max(1, self.learned_samples // self.batch)


def _count(samples: int | Percent, whole: int) -> int:
    if isinstance(samples, Percent):
        return round(whole * samples.percent / 100)
    return samples


class TrainPlan(Data):
    """How the graph trains. `clip` is the largest gradient norm of a node, None for no limit."""

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
    checkpoint: int
    """A checkpoint is written every so many epochs, and at the end."""


class Phase(Data):
    """A part of the training, in which only the nodes of `learn` do.

    `optimizer` and `schedule` are None where the nodes' own hold.
    """

    name: str
    learn: tuple[str, ...]
    epochs: int
    optimizer: Call | None
    schedule: Call | None
    take: Literal["last", "best"]


class SearchPlan(Data):
    """How a space is searched. `epochs` is the length of a trial that nobody ends early."""

    trials: int
    sampler: Call
    pruner: Call
    objective: Call
    epochs: int
    confirm: int
    dedupe: bool
    workers: int | None

    @property
    def node(self) -> str:
        """The node whose accuracy counts."""
        pointed = self.objective.arguments["of"]
        assert isinstance(pointed, dict)
        return str(pointed["node"])


class Draw(Data):
    """A value that a space leaves open: one of `options`, or a number from `low` to `high`.

    Numbers are whole when both ends are.
    """

    name: str
    options: tuple[str, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False

    @property
    def choices(self) -> int | None:
        """How many values there are to choose from; None when that is no number."""
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
    """What a plan leaves open. `text` is the spec in one file, laid out."""

    text: str
    draws: tuple[Draw, ...]
