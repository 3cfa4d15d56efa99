"""Adam and its variants."""

from typing import Annotated, ClassVar

from pydantic import Field

from ktgdsl.vocabulary.entry import NonNegative, Positive
from ktgdsl.vocabulary.optimizers import Optimizer

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
