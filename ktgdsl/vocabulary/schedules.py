"""Learning-rate schedules other than the paper's `step`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ktgdsl.vocabulary.entry import Moment, Unit
from ktgdsl.vocabulary.optimizers import Schedule


class ConstantRate(Schedule):
    """The learning rate as it is."""

    word: ClassVar[str] = "constant"


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
