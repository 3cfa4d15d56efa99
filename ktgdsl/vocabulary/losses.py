"""Losses that an edge can carry, each one value per sample.

s is the source, t the destination, z are logits, p = softmax(z); T is a temperature.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry, NonNegative


class Loss(Entry):
    """Base of all losses.

    `sources` says where it may come from, `inside` whether it compares places inside of
    networks, and `maps` whether those need height and width.
    """

    kind: ClassVar[str] = "loss"
    sources: ClassVar[frozenset[str]] = frozenset({"node"})
    inside: ClassVar[bool] = False
    maps: ClassVar[bool] = False

    def from_label(self) -> str | None:
        """Why an edge from the labels cannot carry this loss; None if it can."""
        return None if "label" in self.sources else f"`{self.word}` cannot come from the labels"


class Ce(Loss):
    """Cross-entropy of the destination with the label, -sum_c q_c log p_t,c.

    q is one-hot, or (1 - smoothing) one-hot + smoothing / classes. Source: Minami et al.,
    ACCV 2020, Eq. 1; smoothing: Szegedy et al., CVPR 2016, label-smoothing
    regularisation.
    """

    word: ClassVar[str] = "ce"
    sources: ClassVar[frozenset[str]] = frozenset({"label"})

    smoothing: Annotated[
        float, Field(ge=0, lt=1, description="share of the target spread over all classes")
    ] = 0.0


# Far above what anyone uses, and its square is still a number.
Temperature = Annotated[
    float, Field(gt=0, le=10_000, description="temperature of both distributions")
]


class Divergence(Loss):
    """Base of the divergences between distributions at a temperature."""

    T: Temperature = 1.0
    scale: Annotated[
        NonNegative | None, Field(description="factor on the divergence; T² unless given")
    ] = None

    def call(self) -> Call:
        """The loss with T² written out where no scale is given."""
        scale = self.T**2 if self.scale is None else self.scale
        return Call.model_construct(name=self.word, arguments={"T": self.T, "scale": scale})


class Kl(Divergence):
    """T² KL(p_s(z/T) || p_t(z/T)): the destination learns the source's distribution.

    Source: Minami et al., ACCV 2020, Eq. 2; temperature: Hinton et al., Distilling the
    Knowledge in a Neural Network, 2015.
    """

    word: ClassVar[str] = "kl"
    sources: ClassVar[frozenset[str]] = frozenset({"node", "label"})


class ReverseKl(Divergence):
    """T² KL(p_t(z/T) || p_s(z/T)), the divergence the other way round."""

    word: ClassVar[str] = "reverse_kl"


class Js(Divergence):
    """T² times the Jensen-Shannon divergence of p_s(z/T) and p_t(z/T).

    (KL(p_s || m) + KL(p_t || m)) / 2 with m = (p_s + p_t) / 2. Source: Lin, 1991.
    """

    word: ClassVar[str] = "js"


class Mse(Loss):
    """Mean over the classes of the squared difference of logits, or of probabilities.

    Source: Ba and Caruana, NeurIPS 2014, up to the factor of the mean.
    """

    word: ClassVar[str] = "mse"
    sources: ClassVar[frozenset[str]] = frozenset({"node", "label"})

    on: Annotated[Literal["logits", "probabilities"], Field(description="what is compared")] = (
        "logits"
    )

    def from_label(self) -> str | None:
        """The labels have no logits."""
        if self.on == "probabilities":
            return None
        return "the labels have no logits for `mse` to compare"


class CosineDistance(Loss):
    """1 - cos(z_s, z_t), the angle between the logits."""

    word: ClassVar[str] = "cosine_distance"


ENTRIES: tuple[type[Entry], ...] = (Ce, Kl, ReverseKl, Js, Mse, CosineDistance)
