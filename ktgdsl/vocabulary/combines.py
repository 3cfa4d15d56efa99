"""The ways to combine nodes in an ensemble.

z_k are the logits of member k of K, f_k its features, h the features at a tap, z the result;
with `on=probabilities` p_k = softmax(z_k) stands in place of z_k.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.reads import LABEL, Input, OwnModule, Read
from ktgdsl.vocabulary.refs import NodeLayer, ReferringEntry

On = Literal["logits", "probabilities"]
"""The outputs that an ensemble combines and gives: logits, or distributions as log p."""


class Combine(Entry):
    """Base of the ways to combine nodes.

    `learned` tells those with parameters of their own, which need an edge into the ensemble;
    `probabilities` those that can combine probabilities: the result is a distribution.
    `reads_destination` tells those with a result of its own for each destination of an edge, and
    `reads_features` those that read the features of members.
    """

    kind: ClassVar[str] = "combine"
    learned: ClassVar[bool] = False
    probabilities: ClassVar[bool] = True
    reads_destination: ClassVar[bool] = False
    reads_features: ClassVar[bool] = False

    def inputs(self, on: On) -> tuple[Input, ...]:
        """The inputs of its function in the back end, in order: by default the members' outputs."""
        return (members(on),)

    def parameters(self, channels: Sequence[int], members: int, classes: int) -> int:
        """The number of its own parameters; `channels` are those of the features that it reads."""
        return 0


def members(on: On) -> Read:
    """The read of each member's output: z_k or log p_k."""
    return Read("logits" if on == "logits" else "log_p", "members")


class Mean(Combine):
    """z = sum_k z_k / K. Source: Song and Chai, Collaborative Learning, NeurIPS 2018."""

    word: ClassVar[str] = "mean"


class SumMix(Combine):
    """z = sum_k z_k, sharper than the mean. Source: the code of Minami et al., ACCV 2020."""

    word: ClassVar[str] = "sum"
    probabilities: ClassVar[bool] = False


class Minimum(Combine):
    """z_c = min_k (z_k,c - z_k,y): the smallest logits relative to that of the label y.

    On unlabeled samples, and on all where the ensemble is evaluated, y is the top class of the
    members' mean.

    Source: Guo et al., Online Knowledge Distillation via Collaborative Learning, CVPR 2020
    (KDCL-MinLogit).
    """

    word: ClassVar[str] = "minimum"
    probabilities: ClassVar[bool] = False

    def inputs(self, on: On) -> tuple[Input, ...]:
        """The label and z_k."""
        return LABEL, members(on)


class Gated(ReferringEntry, Combine):
    """z = sum_k g_k z_k, where g = softmax(ReLU(BN(W pool(h)))), learned, h at the tap `by`.

    Source: Lan et al., Knowledge Distillation by On-the-Fly Native Ensemble, NeurIPS 2018.
    """

    word: ClassVar[str] = "gated"
    learned: ClassVar[bool] = True

    by: Annotated[
        NodeLayer, Field(description="where the gate looks, such as `h[0].stage2`: the trunk")
    ]

    def inputs(self, on: On) -> tuple[Input, ...]:
        """ReLU(BN(W pool(h))), and z_k or log p_k."""
        h = Read("features", "gate_node", tap=self.by.path)
        return OwnModule((h,)), members(on)

    def parameters(self, channels: Sequence[int], members: int, classes: int) -> int:
        """The parameters of W and of the batch norm."""
        return (channels[0] + 2) * members


class AttentionMix(Combine):
    """z_t = sum_k w_tk z_k, where w_t = softmax_k((Q f_t)ᵀ (K f_k)): a mix for each destination.

    Q and K are learned and project the features to a `factor`-th of their number. Where there is
    no destination with features (the ensemble is taught, evaluated, or a source of an ensemble) it
    is the mean of the mixes for its members.

    Source: Chen et al., Online Knowledge Distillation with Diverse Peers, AAAI 2020.
    """

    word: ClassVar[str] = "attention"
    learned: ClassVar[bool] = True
    reads_destination: ClassVar[bool] = True
    reads_features: ClassVar[bool] = True

    factor: Annotated[int, Field(ge=1, description="features per projected feature")] = 8

    def inputs(self, on: On) -> tuple[Input, ...]:
        """(Q f_t)ᵀ (K f_k), and z_k or log p_k."""
        ends: tuple[Literal["destination", "members"], ...] = ("destination", "members")
        features = tuple(Read("features", end, tap="features") for end in ends)
        return OwnModule(features), members(on)

    def projected(self, channels: int) -> int:
        """How many features Q and K make of so many."""
        return max(1, channels // self.factor)

    def parameters(self, channels: Sequence[int], members: int, classes: int) -> int:
        """The parameters of Q and K."""
        return 2 * channels[0] * self.projected(channels[0])


class Concat(Combine):
    """z = W [f_1, ..., f_K] + b: a learned classifier on the features of all members.

    Source: Wu and Gong, Peer Collaborative Learning for Online Knowledge Distillation,
    AAAI 2021.
    """

    word: ClassVar[str] = "concat"
    learned: ClassVar[bool] = True
    probabilities: ClassVar[bool] = False
    reads_features: ClassVar[bool] = True

    def inputs(self, on: On) -> tuple[Input, ...]:
        """W [f_1, ..., f_K] + b."""
        return (OwnModule((Read("features", "members", tap="features"),)),)

    def parameters(self, channels: Sequence[int], members: int, classes: int) -> int:
        """The parameters of W and b."""
        return (sum(channels) + 1) * classes


class LinearMix(Combine):
    """z = sum_k w_k z_k, where w = softmax(v) and v is learned, one number a member.

    Source: Guo et al., CVPR 2020 (KDCL-Linear), which solves for w anew in each batch.
    """

    word: ClassVar[str] = "linear"
    learned: ClassVar[bool] = True

    def inputs(self, on: On) -> tuple[Input, ...]:
        """v, and z_k or log p_k."""
        return OwnModule(()), members(on)

    def parameters(self, channels: Sequence[int], members: int, classes: int) -> int:
        """One number a member."""
        return members
