"""Optimisers and learning-rate schedules."""

from typing import Annotated, ClassVar, Literal

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


Betas = Annotated[
    list[Annotated[float, Field(ge=0, lt=1)]],
    Field(
        default_factory=lambda: [0.9, 0.999],
        min_length=2,
        max_length=2,
        description="decay of the two moving averages",
    ),
]
Eps = Annotated[Positive, Field(description="added to the denominator")]


class Adamw(Optimizer):
    """Adam with decoupled weight decay. Source: Loshchilov and Hutter, ICLR 2019."""

    word: ClassVar[str] = "adamw"

    lr: Annotated[Positive, Field(description="learning rate")] = 1e-3
    betas: Betas
    eps: Eps = 1e-8
    weight_decay: Annotated[NonNegative, Field(description="decay per step, times lr")] = 0.01


class Adam(Optimizer):
    """Adam, whose weight decay is an L2 penalty: part of the gradient, so scaled like it.

    Source: Kingma and Ba, ICLR 2015, in the form of `torch.optim.Adam`.
    """

    word: ClassVar[str] = "adam"

    lr: Annotated[Positive, Field(description="learning rate")] = 1e-3
    betas: Betas
    eps: Eps = 1e-8
    weight_decay: Annotated[NonNegative, Field(description="L2 penalty on all parameters")] = 0.0


class Schedule(Entry):
    """Base of all schedules: a factor on the learning rate, step by step."""

    kind: ClassVar[str] = "schedule"

    warmup: Annotated[
        Moment,
        Field(description="rise from 0 to the full rate, linear; the schedule runs on"),
    ] = 0.0


class ConstantRate(Schedule):
    """The learning rate as it is."""

    word: ClassVar[str] = "constant"


class Step(Schedule):
    """Times `gamma` after every `every`: `step(every=60)` drops after 60, 120, ... full epochs.

    Source: Minami et al., ACCV 2020, Sec. 4.1, for CIFAR.
    """

    word: ClassVar[str] = "step"

    every: Annotated[PositiveMoment, Field(description="length of a stair")]
    gamma: Annotated[Unit, Field(description="factor at each drop")] = 0.1


class Multistep(Schedule):
    """Times `gamma` after each of the moments in `at`: `multistep(at=[40, 60, 70])`.

    Source: Minami et al., ACCV 2020, Sec. 4.1, for Tiny-ImageNet.
    """

    word: ClassVar[str] = "multistep"

    at: Annotated[list[Moment], Field(min_length=1, description="the moments of the drops")]
    gamma: Annotated[Unit, Field(description="factor at each drop")] = 0.1


class Exponential(Schedule):
    """Times `gamma` after every epoch: `exponential(0.95)`.

    Source: `torch.optim.lr_scheduler.ExponentialLR`, stepped once an epoch.
    """

    word: ClassVar[str] = "exponential"

    gamma: Annotated[Unit, Field(description="factor after each epoch")]


class CosineRate(Schedule):
    """minimum + (1 - minimum)(1 + cos(pi (k - 1) / k_end)) / 2, where k is the step of k_end.

    With `by=epoch` it is constant within an epoch, as torch's `CosineAnnealingLR` stepped once
    an epoch: for the e-th of E epochs, (e - 1) / E in the place of (k - 1) / k_end.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, without restarts.
    """

    word: ClassVar[str] = "cosine"
    later: ClassVar[frozenset[str]] = frozenset({"by"})

    minimum: Annotated[Unit, Field(description="share of the rate left at the end")] = 0.0
    by: Annotated[Literal["step", "epoch"], Field(description="how often the rate changes")] = (
        "step"
    )


class Plateau(Schedule):
    """Times `factor` when a node has not improved for more than `patience` epochs.

    After each epoch the node's own training loss is compared with its lowest so far, or with
    `on=accuracy` its accuracy on held-out samples with its highest; better by a share of less
    than `threshold` counts as no better. Nodes are slowed each for itself.

    Source: `torch.optim.lr_scheduler.ReduceLROnPlateau`, with a relative threshold.
    """

    word: ClassVar[str] = "plateau"

    factor: Annotated[float, Field(ge=0, lt=1, description="factor at each drop")] = 0.1
    patience: Annotated[int, Field(ge=0, description="epochs without progress to put up with")] = 10
    threshold: Annotated[
        float, Field(ge=0, lt=1, description="share by which better has to be better")
    ] = 1e-4
    cooldown: Annotated[int, Field(ge=0, description="epochs after a drop that are not judged")] = 0
    minimum: Annotated[Unit, Field(description="share of the rate that is always left")] = 0.0
    on: Annotated[
        Literal["loss", "accuracy"],
        Field(description="the training loss, or the accuracy on held-out samples"),
    ] = "loss"
