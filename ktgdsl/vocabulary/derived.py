"""Derived nodes, made from others: ensembles, nodes that follow weights, constants.

z_k are the logits of member k of K, z the result. θ are the weights of a node, θ' those of one that
follows it.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ktgdsl.vocabulary.combines import Combine, Concat, Gated, Mean, On
from ktgdsl.vocabulary.networks import Derived
from ktgdsl.vocabulary.reads import LABEL, Input, Read
from ktgdsl.vocabulary.refs import Node, NodeRef, Tap


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
        """Whether its way to combine them is learned."""
        return self.combine.learned

    @property
    def passes_gradients(self) -> bool:
        """Whether its members are not detached."""
        return not self.detach

    @property
    def gate_tap(self) -> Tap | None:
        """The argument `by` of its way to combine."""
        return self.combine.by if isinstance(self.combine, Gated) else None

    @property
    def combines(self) -> bool:
        """Always true."""
        return True

    @property
    def leaves_out_destination(self) -> bool:
        """Whether `others` is true."""
        return self.others

    @property
    def reads_features(self) -> bool:
        """Whether its way to combine them does."""
        return self.combine.reads_features

    @property
    def differs_by_destination(self) -> bool:
        """Whether its way to combine them reads the destination."""
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
