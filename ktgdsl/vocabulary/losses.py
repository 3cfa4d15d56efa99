"""Losses that an edge can carry, each one value per sample.

s is the source, t the destination, z are logits, p = softmax(z); T is a temperature.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry, NonNegative
from ktgdsl.vocabulary.reads import LABEL, Input, Moving, Read, SourceKind
from ktgdsl.vocabulary.temperature import Temperature, at, squared


class Loss(Entry):
    """Base of all losses.

    `sources` are the kinds of source that it may have, `at_taps` says whether it compares features
    at taps inside of networks, and `needs_maps` whether those need height and width.
    """

    kind: ClassVar[str] = "loss"
    sources: ClassVar[frozenset[SourceKind]] = frozenset({"node"})
    at_taps: ClassVar[bool] = False
    needs_maps: ClassVar[bool] = False

    def from_label(self) -> str | None:
        """Why an edge from the labels cannot carry this loss, in words; None if it can."""
        return None if "label" in self.sources else f"`{self.word}` cannot come from the labels"

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """The inputs of its function in the back end, in order, on an edge from `source`.

        Values of the source arrive there without gradient.
        """
        raise NotImplementedError(f"what `{self.word}` reads is not declared")


class Ce(Loss):
    """Cross-entropy of the destination with the label, -sum_c q_c log p_t,c.

    q is one-hot, or (1 - smoothing) one-hot + smoothing / classes. Source: Minami et al.,
    ACCV 2020, Eq. 1; smoothing: Szegedy et al., CVPR 2016, label-smoothing
    regularisation.
    """

    word: ClassVar[str] = "ce"
    sources: ClassVar[frozenset[SourceKind]] = frozenset({"label"})

    smoothing: Annotated[
        float, Field(ge=0, lt=1, description="share of the target spread over all classes")
    ] = 0.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """log p_t, the label, the smoothing."""
        return Read("log_p", "destination"), LABEL, self.smoothing


class Divergence(Loss):
    """Base of the divergences between distributions at a temperature."""

    T: Temperature = 1.0
    scale: Annotated[
        NonNegative | None, Field(description="factor on the divergence; T² unless given")
    ] = None

    @property
    def factor(self) -> float | Moving:
        """The scale, which is T² unless given."""
        return squared(self.T) if self.scale is None else self.scale

    def call(self) -> Call:
        """The loss with its scale written out, unless that moves."""
        call = super().call()
        if not isinstance(self.factor, Moving):
            call.arguments["scale"] = self.factor
        return call

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """log p_s, or the label, log p_t and the scale."""
        log_p = Read("log_p", "destination", at(self.T))
        if source == "label":
            return log_p, LABEL, self.factor
        return Read("log_p", "source", at(self.T)), log_p, self.factor


class Kl(Divergence):
    """T² KL(p_s(z/T) || p_t(z/T)): the destination learns the source's distribution.

    Source: Minami et al., ACCV 2020, Eq. 2; temperature: Hinton et al., Distilling the
    Knowledge in a Neural Network, 2015.
    """

    word: ClassVar[str] = "kl"
    sources: ClassVar[frozenset[SourceKind]] = frozenset({"node", "label"})
