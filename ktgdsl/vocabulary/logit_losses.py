"""Further losses on the outputs of networks, each one value per sample.

s is the source, t the destination, z are logits, p = softmax(z); T is a temperature, y the
label, C the number of classes, B that of the samples in the batch; 0 / 0 counts as 0.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ktgdsl.vocabulary.entry import Moment, NonNegative
from ktgdsl.vocabulary.losses import Divergence, Loss
from ktgdsl.vocabulary.python import Python
from ktgdsl.vocabulary.reads import EPOCH, LABEL, ONE_HOT, Input, PhaseFraction, Read, SourceKind
from ktgdsl.vocabulary.temperature import Temperature, at, squared


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
    sources: ClassVar[frozenset[SourceKind]] = frozenset({"node", "label"})

    on: Annotated[Literal["logits", "probabilities"], Field(description="what is compared")] = (
        "logits"
    )

    def from_label(self) -> str | None:
        """The labels have no logits."""
        if self.on == "probabilities":
            return None
        return "the labels have no logits for `mse` to compare"

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """z_s and z_t, or p_s and p_t; from the labels log p_t and the label."""
        if source == "label":
            return Read("log_p", "destination"), LABEL
        if self.on == "probabilities":
            return Read("p", "source"), Read("p", "destination")
        return Read("logits", "source"), Read("logits", "destination")


class CosineDistance(Loss):
    """1 - cos(z_s, z_t), the angle between the logits."""

    word: ClassVar[str] = "cosine_distance"

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """z_s and z_t."""
        return Read("logits", "source"), Read("logits", "destination")


class Dkd(Loss):
    """Decoupled distillation: the class of the label, and the others among themselves.

    r T² (alpha KL(b_s || b_t) + beta KL(q_s || q_t)), where b = (p_y, 1 - p_y) and
    q_c = p_c / (1 - p_y) for c != y, both of p(z/T), and r = min(1, epoch / warmup) with the
    epochs of the phase counted from 1. 0 on unlabeled samples.

    Source: Zhao et al., Decoupled Knowledge Distillation, CVPR 2022; the rise and the
    defaults are those of the public code for CIFAR-100.
    """

    word: ClassVar[str] = "dkd"

    alpha: Annotated[NonNegative, Field(description="weight of the label's class")] = 1.0
    beta: Annotated[NonNegative, Field(description="weight of the other classes")] = 8.0
    T: Temperature = 4.0
    warmup: Annotated[
        Moment,
        Field(description="rise of the loss from epoch to epoch; 0 for none"),
    ] = 20.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """log p_s, log p_t, the label, the epoch and the warm-up, both weights, T²."""
        return (
            Read("log_p", "source", at(self.T)),
            Read("log_p", "destination", at(self.T)),
            LABEL,
            EPOCH,
            PhaseFraction(self.warmup),
            self.alpha,
            self.beta,
            squared(self.T),
        )


class Dist(Loss):
    """One minus the correlation, over the classes of a sample and over the batch of a class.

    T² (beta (1 - corr_c(p_s, p_t)) + gamma (1 - B/C sum_c a_s,c a_t,c)) of p(z/T), where
    a_c is the sample's entry in column c of p in the batch, the column minus its mean and then
    divided by its norm: the mean over the batch is beta (1 - mean corr of rows) + gamma
    (1 - mean corr of columns), times T². Pixels count as samples.

    Source: Huang et al., Knowledge Distillation from A Stronger Teacher, NeurIPS 2022; T² and
    the defaults are those of the public code, which adds 1e-8 to the products of norms.
    """

    word: ClassVar[str] = "dist"

    beta: Annotated[NonNegative, Field(description="weight of the relation over classes")] = 1.0
    gamma: Annotated[NonNegative, Field(description="weight of the relation over the batch")] = 1.0
    T: Temperature = 1.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """p_s and p_t, both weights, T²."""
        T = at(self.T)
        p_s, p_t = Read("p", "source", T), Read("p", "destination", T)
        return p_s, p_t, self.beta, self.gamma, squared(self.T)


class StandardizedKl(Divergence):
    """T² KL(p_s(u/T) || p_t(u/T)) of standardised logits: their shape without their scale.

    u = (z - mean_c z) / (std_c z + 1e-7), std with the divisor C - 1 of the public code, or with
    C as in the paper: `std=biased`. The usual weight is 9, with 0.1 on the labels.

    Source: Sun et al., Logit Standardization in Knowledge Distillation, CVPR 2024, its Z-score;
    T² and 1e-7 are those of the public code.
    """

    word: ClassVar[str] = "standardized_kl"

    T: Temperature = 2.0
    std: Annotated[
        Literal["unbiased", "biased"],
        Field(description="standard deviation with the divisor C - 1 or C"),
    ] = "unbiased"

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """z_s and z_t, the temperature, the scale, and C minus the divisor."""
        z_s, z_t = Read("logits", "source"), Read("logits", "destination")
        return z_s, z_t, at(self.T), self.factor, int(self.std == "unbiased")


class Entropy(Loss):
    """H(p_t) = -sum_c p_t,c log p_t,c: of the destination alone, `edge a : -0.1 * entropy`.

    With a negative coefficient it is the confidence penalty. Unlike a loss between nodes it
    has no source.

    Source: Pereyra et al., Regularizing Neural Networks by Penalizing Confident Output
    Distributions, ICLR workshop 2017.
    """

    word: ClassVar[str] = "entropy"
    sources: ClassVar[frozenset[SourceKind]] = frozenset({"nothing"})

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """log p_t."""
        return (Read("log_p", "destination"),)


class PythonLoss(Loss, Python):
    """A loss of yours: `python("pkg.module:fn", ...)`.

    fn(source, destination, label, **arguments) = one value per sample, shape (B,). Source and
    destination are the outputs at the edge's ends, (B, C, ...), the source without gradient; it is
    None in a unary term and one-hot from the labels. label is (B,), -1 where unlabeled.
    """

    sources: ClassVar[frozenset[SourceKind]] = frozenset({"node", "label", "nothing"})
    at_taps: ClassVar[bool] = True

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """The function; f_s, the one-hot labels or nothing; f_t; the label."""
        f_s = {"node": Read("features", "source"), "label": ONE_HOT, "nothing": None}[source]
        return self.user_function(), f_s, Read("features", "destination"), LABEL
