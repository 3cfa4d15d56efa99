"""Further losses on the outputs of networks, each one value per sample.

s is the source, t the destination, z are logits, p = softmax(z); T is a temperature, y the
label, C the number of classes, B that of the samples in the batch; 0 / 0 counts as 0.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from ktgdsl.vocabulary.entry import Moment, NonNegative
from ktgdsl.vocabulary.losses import Divergence, Loss, Temperature
from ktgdsl.vocabulary.python import Python
from ktgdsl.vocabulary.reads import Input, Read, SourceKind


class Dkd(Loss):
    """Decoupled distillation: the class of the label, and the others among themselves.

    r T² (alpha KL(b_s || b_t) + beta KL(q_s || q_t)), where b = (p_y, 1 - p_y) and
    q_c = p_c / (1 - p_y) for c != y, both of p(z/T), and r = min(1, k / warmup) with k the
    step of the phase; the public code rises from epoch to epoch. 0 on unlabeled samples.

    Source: Zhao et al., Decoupled Knowledge Distillation, CVPR 2022; the rise and the
    defaults are those of the public code for CIFAR-100.
    """

    word: ClassVar[str] = "dkd"

    alpha: Annotated[NonNegative, Field(description="weight of the label's class")] = 1.0
    beta: Annotated[NonNegative, Field(description="weight of the other classes")] = 8.0
    T: Temperature = 4.0
    warmup: Annotated[
        Moment,
        Field(description="linear rise of the loss, in epochs or a share; 0 for none"),
    ] = 20.0


class Dist(Loss):
    """One minus the correlation, over the classes of a sample and over the batch of a class.

    T² (beta (1 - corr_c(p_s, p_t)) + gamma (1 - B/C sum_c a_s,c a_t,c)) of p(z/T), where
    a_c is the sample's entry in column c of p in the batch, the column minus its mean and then
    divided by its norm: the mean over the batch is beta (1 - mean corr of rows) + gamma
    (1 - mean corr of columns), times T².

    Source: Huang et al., Knowledge Distillation from A Stronger Teacher, NeurIPS 2022; T² and
    the defaults are those of the public code, which adds 1e-8 to the products of norms.
    """

    word: ClassVar[str] = "dist"

    beta: Annotated[NonNegative, Field(description="weight of the relation over classes")] = 1.0
    gamma: Annotated[NonNegative, Field(description="weight of the relation over the batch")] = 1.0
    T: Temperature = 1.0


class StandardizedKl(Divergence):
    """T² KL(p_s(u/T) || p_t(u/T)) of standardised logits: their shape without their scale.

    u = (z - mean_c z) / (std_c z + 1e-7), std with the divisor C as in the paper; the public
    code has C - 1. The usual weight is 9, with 0.1 on the labels.

    Source: Sun et al., Logit Standardization in Knowledge Distillation, CVPR 2024, its Z-score;
    T² and 1e-7 are those of the public code.
    """

    word: ClassVar[str] = "standardized_kl"

    T: Temperature = 2.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """z_s and z_t, the temperature and the scale."""
        return Read("logits", "source"), Read("logits", "destination"), self.T, self.factor


class Entropy(Loss):
    """H(p_t) = -sum_c p_t,c log p_t,c: of the destination alone, `edge a : -0.1 * entropy`.

    With a negative coefficient it is the confidence penalty. Unlike a loss between nodes it
    has no source.

    Source: Pereyra et al., Regularizing Neural Networks by Penalizing Confident Output
    Distributions, ICLR workshop 2017.
    """

    word: ClassVar[str] = "entropy"
    sources: ClassVar[frozenset[SourceKind]] = frozenset({"nothing"})


class PythonLoss(Loss, Python):
    """A loss of yours: `python("pkg.module:fn", ...)`.

    fn(source, destination, label, **arguments) = one value per sample, shape (B,). Source and
    destination are the outputs at the edge's ends, (B, C, ...); the source is None in a unary
    term and one-hot from the labels; label is (B,), -1 where unlabeled.
    """

    sources: ClassVar[frozenset[SourceKind]] = frozenset({"node", "label", "nothing"})
    inside: ClassVar[bool] = True
