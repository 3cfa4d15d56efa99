"""Per-sample gates, `during`, and gates of the user's own.

p is the distribution of a node at temperature 1; s is the source, t the destination.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ktgdsl.vocabulary.gates import Gate
from ktgdsl.vocabulary.python import Python
from ktgdsl.vocabulary.reads import LABEL, ONE_HOT, PROGRESS, SAMPLE, Input, Read, SourceKind
from ktgdsl.vocabulary.refs import Phase, ReferringEntry


class During(ReferringEntry, Gate):
    """w = 1 in the phases named, 0 in the others: `during(hints, distil)`.

    Source: the stages of Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015.
    """

    word: ClassVar[str] = "during"
    variadic: ClassVar[str | None] = "phases"
    folds: ClassVar[bool] = True

    phases: Annotated[list[Phase], Field(min_length=1, description="phases with weight 1")]


class Predicate(Gate):
    """Base of the gates with a weight for each sample."""

    per_sample: ClassVar[bool] = True


_ENDS: tuple[Literal["source", "destination"], ...] = ("source", "destination")

Threshold = Annotated[
    float, Field(ge=0, lt=1, description="probability that the top class must exceed")
]


class Confident(Predicate):
    """w = 1 where max_c p_s,c > threshold, else 0: `confident(0.8)`.

    Source: Ke et al., Dual Student, ICCV 2019, its condition on one view.
    """

    word: ClassVar[str] = "confident"
    reads_source: ClassVar[bool] = True
    one_from_label: ClassVar[bool] = True

    threshold: Threshold = 0.8

    @property
    def bounds(self) -> tuple[float, float]:
        """0 to 1, or always 1 with threshold 0."""
        return float(self.threshold == 0), 1.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """p_s and the threshold."""
        return Read("p", "source"), self.threshold


class Agree(Predicate):
    """w = 1 where argmax_c p_s,c = argmax_c p_t,c, else 0; 0 on unlabeled samples from `label`.

    Source: `correct` of Minami et al., ACCV 2020, Eq. 7, with the destination for the label.
    """

    word: ClassVar[str] = "agree"
    reads_source: ClassVar[bool] = True

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """z_s, or the label, and z_t."""
        top = LABEL if source == "label" else Read("logits", "source")
        return top, Read("logits", "destination")


class Stable(Predicate):
    """w = 1 where argmax_c p_s,c = argmax_c p'_s,c and max_c of p_s or p'_s > threshold, else 0.

    p' is the source's output for the other view, so `views = 2` is needed.

    Source: Ke et al., Dual Student, ICCV 2019, the definition of a stable sample.
    """

    word: ClassVar[str] = "stable"
    reads_source: ClassVar[bool] = True
    one_from_label: ClassVar[bool] = True
    views: ClassVar[int] = 2

    threshold: Threshold = 0.8

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """p_s, p'_s and the threshold."""
        return Read("p", "source"), Read("p", "source", view=1), self.threshold


class Steadier(Predicate):
    """w = 0 where t is stable and |p_s - p'_s|² > |p_t - p'_t|², else 1: `stable * steadier`.

    p' is the output for the other view, so `views = 2` is needed; a node is stable where its top-1
    is the same in both views and its probability > threshold in one of them. With `stable` a
    student learns from a stable peer, unless it is stable itself and the peer is less consistent.
    Where both are equally consistent each learns from the other.

    Source: Ke et al., Dual Student, ICCV 2019, the stabilization constraint.
    """

    word: ClassVar[str] = "steadier"
    reads_source: ClassVar[bool] = True
    one_from_label: ClassVar[bool] = True
    views: ClassVar[int] = 2

    threshold: Threshold = 0.8

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """p_s and p'_s, p_t and p'_t, and the threshold."""
        first, second = ([Read("p", of, view=v) for v in (0, 1)] for of in _ENDS)
        return *first, *second, self.threshold


class Shard(Predicate):
    """w = 1 where n mod count = index, else 0: n is the sample's number in the training data.

    `shard(0, 2)` and `shard(1, 2)` split the samples in two.

    Source: the disjoint shards of Anil et al., Large Scale Distributed Neural Network
    Training through Online Distillation, ICLR 2018.
    """

    word: ClassVar[str] = "shard"

    index: Annotated[int, Field(ge=0, description="which part, from 0 on")]
    count: Annotated[int, Field(ge=1, description="number of parts")]

    @model_validator(mode="after")
    def _within(self) -> "Shard":
        if self.index >= self.count:
            raise ValueError(f"`index` must be less than `count`, {self.count}, not {self.index}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """0 to 1, or always 1 with a single part."""
        return float(self.count == 1), 1.0

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """The numbers of the samples, the index and the count."""
        return SAMPLE, self.index, self.count


class PythonGate(Gate, Python):
    """A gate of yours: `python("pkg.module:fn", ...)`.

    fn(source, destination, label, progress, **arguments) = one weight per sample, shape (B,),
    from 0 to 1; multiply by a number for more. Source and destination are logits, (B, C, ...);
    label is (B,), -1 where unlabeled; progress is k / k_end.
    """

    per_sample: ClassVar[bool] = True

    def inputs(self, source: SourceKind) -> tuple[Input, ...]:
        """The function; z_s, the one-hot labels or nothing; z_t; the label; k / k_end."""
        z_s = {"node": Read("logits", "source"), "label": ONE_HOT, "nothing": None}[source]
        return self.user_function(), z_s, Read("logits", "destination"), LABEL, PROGRESS
