"""Optimisers and learning-rate schedules: their bases, and the paper's `sgd` and `step`."""

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from ktgdsl.vocabulary.entry import Entry, Moment, NonNegative, Positive, PositiveMoment, Unit


class Optimizer(Entry):
    """Base of all optimisers."""

    kind: ClassVar[str] = "optimizer"

    lr: Annotated[Positive, Field(description="learning rate")]


class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's form of it on request.

    Source: Sutskever et al., ICML 2013, in the form of `torch.optim.SGD`.
    """

    word: ClassVar[str] = "sgd"

    lr: Annotated[Positive, Field(description="learning rate")] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1, description="share of the last update kept")] = 0.0
    nesterov: Annotated[bool, Field(description="look ahead along the momentum")] = False
    weight_decay: Annotated[NonNegative, Field(description="L2 penalty on all parameters")] = 0.0

    @model_validator(mode="after")
    def _nesterov(self) -> "Sgd":
        if self.nesterov and self.momentum == 0:
            raise ValueError("`nesterov` needs a momentum greater than 0")
        return self


class Schedule(Entry):
    """Base of all schedules: a factor on the learning rate, step by step."""

    kind: ClassVar[str] = "schedule"

    warmup: Annotated[
        Moment,
        Field(description="rise from 0 to the full rate, linear; the schedule runs on"),
    ] = 0.0


class Step(Schedule):
    """Times `gamma` after every `every`: `step(every=60)` drops after 60, 120, ... full epochs.

    Source: Minami et al., ACCV 2020, Sec. 4.1, for CIFAR.
    """

    word: ClassVar[str] = "step"

    every: Annotated[PositiveMoment, Field(description="length of a stair")]
    gamma: Annotated[Unit, Field(description="factor at each drop")] = 0.1
