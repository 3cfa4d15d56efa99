"""Losses between taps, layers inside of networks, each one value per sample.

f are the features at a tap, (channels, height, width) a sample or (channels,); s is the
source, t the destination, i and j are samples of the batch of B. Statistics always use the
whole batch, and a sample's value is its part, so that the batch mean is the published loss.
Where maps that are compared differ in height and width, the larger are average-pooled to the
size of the smaller before anything else; 0 / 0 counts as 0.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, create_model

from ktgdsl.vocabulary.entry import NonNegative
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.reads import Connected, Input, Read, SourceKind
from ktgdsl.vocabulary.refs import Layer, ReferringEntry, Tap, without_repeats

_FEATURES = Read("features", "source"), Read("features", "destination")


class FeatureLoss(Loss):
    """Base of the losses on taps."""

    at_taps: ClassVar[bool] = True

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """f_s and f_t."""
        return _FEATURES


class Hint(FeatureLoss):
    """mean((f_s - r(f_t))²), where r is a connector, which learns with the destination.

    `conv` is a 1x1 convolution without bias, or a linear layer on flat features; `norm` one with
    a bias, then a batch norm and ReLU; with `none` r(f) = f, and both ends have equal channels.

    Source: Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015, its hint-based training
    with the mean in place of half the sum. In one stage with the task its usual weight is 100.
    """

    word: ClassVar[str] = "hint"

    connector: Annotated[
        Literal["conv", "norm", "none"],
        Field(description="the layer from the destination's features to the source's"),
    ] = "conv"

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """f_s, and f_t through the connector."""
        f_s, f_t = _FEATURES
        return f_s, f_t if self.connector == "none" else Connected(self.connector)


class Attention(FeatureLoss):
    """mean((a_s - a_t)²), where a = m / ||m|| is the attention map with m = mean_channels f².

    Source: Zagoruyko and Komodakis, Paying More Attention to Attention, ICLR 2017, with the
    squared norm and the mean of the public code. Its usual weight is 1000.
    """

    word: ClassVar[str] = "attention"
    needs_maps: ClassVar[bool] = True


class _Fsp(ReferringEntry, FeatureLoss):
    """mean((G_s - G_t)²), where G = f₁ᵀ f₂ / (height width): how one layer becomes the next.

    f₁ are the features at the edge's taps, f₂ those at `with`, both (height width, channels)
    and of one size. The channels of both ends must agree.

    Source: Yim et al., A Gift from Knowledge Distillation, CVPR 2017, the FSP matrix.
    """

    word: ClassVar[str] = "fsp"
    needs_maps: ClassVar[bool] = True

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """f₁ and f₂ of the source, f₁ and f₂ of the destination."""
        later: Tap = getattr(self, "with")
        return tuple(each for f in _FEATURES for each in (f, f._replace(tap=later.path)))


# `with` is a keyword of Python, which no class body can declare.
_WITH: dict[str, Any] = {
    "with": (Layer, Field(description="the later layer, in both networks, such as `stage2`"))
}
Fsp = create_model("Fsp", __base__=_Fsp, __doc__=_Fsp.__doc__, __module__=__name__, **_WITH)


class Overhaul(FeatureLoss):
    """sum(d), where d = 0 if r <= g <= 0, else (g - r)²: a margin ReLU and a partial distance.

    g = max(f_s, m), with m the mean of a channel's negative values: as the batch norm before the
    source's tap has it, or with `margin=batch` those of the batch, 0 if it has none.
    r = BN(conv_1x1(f_t)) is a connector, which learns with the destination; f are features
    before their ReLU, such as `stage2.pre`. The usual weight is 1e-3 / 2^n, n layers before the
    last: `overhaul via 1e-3 / 2`.

    Source: Heo et al., A Comprehensive Overhaul of Feature Distillation, ICCV 2019.
    """

    word: ClassVar[str] = "overhaul"
    needs_maps: ClassVar[bool] = True

    margin: Annotated[
        Literal["norm", "batch"],
        Field(description="where margins come from: the batch norm before the tap, or the batch"),
    ] = "norm"

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """f_s, f_t through the connector, the margins of a batch norm."""
        margin = Read("margin", "source") if self.margin == "norm" else None
        return _FEATURES[0], Connected("overhaul"), margin


class Similarity(FeatureLoss):
    """||G_s,i - G_t,i||² / B, where G = f fᵀ with its rows divided by their norms, f (B, -1).

    The batch mean is ||G_s - G_t||² / B².

    Source: Tung and Mori, Similarity-Preserving Knowledge Distillation, ICCV 2019.
    """

    word: ClassVar[str] = "similarity"


class Irg(ReferringEntry, FeatureLoss):
    """Instance relationship graph: logits, distances in each layer, changes between layers.

    logits mean_c((z_s - z_t)²) + distances mean_l mean_j((A_s,ij - A_t,ij)²)
    + transforms mean_l((V_s,i - V_t,i)²), where A_ij = ||f_i - f_j||² / max_ij of it at tap l,
    V_i = ||g_i - f_i||² / max_i of it, with g the features at the next tap. For V the channels
    of the wider of f and g are averaged in groups of neighbours, which makes them equal in
    size; flat features are maps of one position. With one tap there are no transforms. The edge
    is between nodes, not taps.

    Source: Liu et al., Knowledge Distillation via Instance Relationship Graph, CVPR 2019;
    the weights are those usual in public codes.
    """

    word: ClassVar[str] = "irg"
    at_taps: ClassVar[bool] = False

    taps: Annotated[
        list[Layer],
        Field(min_length=1, description="layers of both networks, from the input on"),
        AfterValidator(without_repeats),
    ]
    logits: Annotated[NonNegative, Field(description="weight of the samples' logits")] = 0.1
    distances: Annotated[NonNegative, Field(description="weight of the pairs of samples")] = 5.0
    transforms: Annotated[NonNegative, Field(description="weight of the pairs of layers")] = 5.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """z_s and z_t, the three weights, f_s at each tap and f_t at each."""
        features = (f._replace(tap=tap.path) for f in _FEATURES for tap in self.taps)
        z_s, z_t = Read("logits", "source"), Read("logits", "destination")
        return z_s, z_t, self.logits, self.distances, self.transforms, *features


class Metric(FeatureLoss):
    """B sum_j(x_ij²) / ||x||, x_ij = d_s,ij - d_t,ij, d_ij = ||f_i - f_j||: the relative teacher.

    The batch mean is the norm ||x|| of the differences of all pairs; with `norm=pairs`, mean_j
    |x_ij|, it is the paper's mean over the pairs. On features it is the absolute teacher, ||f_s,i
    - f_t,i||, with features of equal size. f is flat.

    Source: Yu et al., Learning Metrics from Teachers, CVPR 2019.
    """

    word: ClassVar[str] = "metric"

    on: Annotated[
        Literal["distances", "features"],
        Field(description="what is compared: distances of pairs, or the features themselves"),
    ] = "distances"
    norm: Annotated[
        Literal["frobenius", "pairs"],
        Field(description="norm of the distances' differences: of all at once, or pair by pair"),
    ] = "frobenius"

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """f_s and f_t, what is compared, and in which norm."""
        return *_FEATURES, self.on, self.norm


class Rkd(FeatureLoss):
    """Relations: distance mean_j h(d_s,ij - d_t,ij) + angle mean_jk h(c_s,jik - c_t,jik).

    d_ij = ||f_i - f_j|| / mean of the distances that are not 0, those of other samples at least
    1e-6, c_jik = the cosine of the angle at i between j and k, 0 where one of them is at i; h =
    Huber's loss with threshold 1. j and k run over the whole batch, i included; f is flat.

    Source: Park et al., Relational Knowledge Distillation, CVPR 2019.
    """

    word: ClassVar[str] = "rkd"

    distance: Annotated[NonNegative, Field(description="weight of the pair distances")] = 25.0
    angle: Annotated[NonNegative, Field(description="weight of the angles of triples")] = 50.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """f_s and f_t, both weights."""
        return *_FEATURES, self.distance, self.angle
