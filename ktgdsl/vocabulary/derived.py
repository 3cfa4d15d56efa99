"""Derived nodes, made from others, and the ways to combine nodes in an ensemble.

z_k are the logits of member k of K, f_k its features, h the features at a tap, z the result;
with `on=probabilities` p_k = softmax(z_k) stands in place of z_k. θ are the weights of a node, θ'
those of one that follows it.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.networks import Derived as Derived
from ktgdsl.vocabulary.reads import LABEL, Input, OwnModule, Read
from ktgdsl.vocabulary.refs import Node, NodeLayer, NodeRef, ReferringEntry, Tap

On = Literal["logits", "probabilities"]
"""What an ensemble combines, and gives: logits, or distributions as log p."""


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
        """What its function in the back end takes, in order: by default the members' outputs."""
        return (members(on),)

    def parameters(self, channels: Sequence[int], members: int, classes: int) -> int:
        """The number of its own parameters; `channels` are those of the features that it reads."""
        return 0


def members(on: On) -> Read:
    """What is combined of each member: z_k or log p_k."""
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
        h = Read("features", "looked_at", tap=self.by.path)
        return OwnModule((h,)), members(on)

    def parameters(self, channels: Sequence[int], members: int, classes: int) -> int:
        """Those of W and of the batch norm."""
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
        """Those of Q and K."""
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
        """Those of W and b."""
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


class Ensemble(Derived):
    """z = combine(z_1, ..., z_K): `ensemble(a, b)`, or of all nodes of an array, `ensemble(h)`.

    Source: Lan et al., NeurIPS 2018, and the papers of the `combine` words.
    """

    word: ClassVar[str] = "ensemble"
    variadic: ClassVar[str | None] = "members"

    members: Annotated[
        list[Node], Field(min_length=1, description="the nodes or arrays to combine")
    ]
    combine: Combine = Field(
        default_factory=Mean.model_construct, description="how they are combined"
    )
    on: Annotated[On, Field(description="what is combined")] = "logits"
    others: Annotated[bool, Field(description="leave the destination of an edge out")] = False
    detach: Annotated[bool, Field(description="let no gradient through to the members")] = True

    @property
    def sources(self) -> list[NodeRef]:
        """The members."""
        return self.members

    @property
    def learned(self) -> bool:
        """As the way to combine them is."""
        return self.combine.learned

    @property
    def passes_gradients(self) -> bool:
        """Unless they are detached."""
        return not self.detach

    @property
    def looks_at(self) -> Tap | None:
        """Where the gate looks."""
        return self.combine.by if isinstance(self.combine, Gated) else None

    @property
    def combines(self) -> bool:
        """Always."""
        return True

    @property
    def leaves_out(self) -> bool:
        """With `others`."""
        return self.others

    @property
    def reads_features(self) -> bool:
        """As the way to combine them does."""
        return self.combine.reads_features

    @property
    def differs_by_destination(self) -> bool:
        """As the way to combine them says."""
        return self.combine.reads_destination

    @model_validator(mode="after")
    def _combinable(self) -> "Ensemble":
        word = self.combine.word
        if self.on == "probabilities" and not self.combine.probabilities:
            raise ValueError(f"`{word}` does not combine probabilities")
        if self.others and isinstance(self.combine, Concat):
            raise ValueError(f"`{word}` needs all members, so `others` cannot leave one out")
        return self


class Follower(Derived):
    """Base of the nodes that have the weights of another node. Over an array elementwise."""

    follows: ClassVar[bool] = True

    of: Annotated[Node, Field(description="whose weights it has")]

    @property
    def sources(self) -> list[NodeRef]:
        """The node whose weights it has."""
        return [self.of]


class Ema(Follower):
    """θ' = d θ' + (1 - d) θ after step k, d = min(1 - 1 / (k + 1), decay): an average of weights.

    It starts as a copy, and moves in the phases in which the node learns; k is the phase's step.
    Without `warmup` d is `decay` from the first step on. `buffers` are the statistics of batch
    norm: `own`, which its forward passes in train mode move; `copy`, those of the node; `average`,
    averaged as the weights are. With the last two it computes in eval mode. Over an array it is
    elementwise.

    Source: Tarvainen and Valpola, Mean Teachers, NeurIPS 2017, whose code has `buffers = own`.
    """

    word: ClassVar[str] = "ema"

    of: Annotated[Node, Field(description="whose weights are averaged")]
    decay: Annotated[float, Field(ge=0, lt=1, description="share of the average kept a step")] = (
        0.999
    )
    warmup: Annotated[
        bool, Field(description="keep less of it in the first steps of a phase: 1 - 1 / (k + 1)")
    ] = True
    buffers: Annotated[
        Literal["own", "copy", "average"], Field(description="the statistics of batch norm")
    ] = "own"


class StaleCopy(Follower):
    """θ' = θ after every `every` steps of a phase: a stale copy of a node.

    It moves in the phases in which the node learns. The statistics of batch norm are copied with
    the weights, and it computes in eval mode; with `buffers = own` its own forward passes in train
    mode move them. Over an array it is elementwise.

    Source: Anil et al., Large Scale Distributed Neural Network Training through Online
    Distillation, ICLR 2018.
    """

    word: ClassVar[str] = "copy"

    of: Annotated[Node, Field(description="whose weights are copied")]
    every: Annotated[int, Field(ge=1, description="steps from copy to copy")] = 50
    buffers: Annotated[
        Literal["copy", "own"], Field(description="the statistics of batch norm")
    ] = "copy"


class ConstantNode(Derived):
    """p_c = correct where c is the label, else (1 - correct) / (C - 1): a hand-made teacher.

    z = log p, so that `kl(T=20)` softens it as it does any node; the public code takes
    softmax(p / T) instead, and the destination at temperature 1. On unlabeled samples it is
    uniform.

    Source: Yuan et al., Revisiting Knowledge Distillation via Label Smoothing Regularization,
    CVPR 2020 (Tf-KD).
    """

    word: ClassVar[str] = "constant"

    correct: Annotated[float, Field(gt=0, lt=1, description="probability of the label")] = 0.99

    def inputs(self) -> tuple[Input, ...]:
        """The label, logits of the same shape, and the probability."""
        return LABEL, Read("logits", "destination"), self.correct
