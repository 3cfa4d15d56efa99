"""The search: its samplers, pruners, objectives and settings."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ktgdsl.vocabulary.entry import Entry, Parameters
from ktgdsl.vocabulary.metrics import Metric
from ktgdsl.vocabulary.refs import Answer, Node, ReferringEntry


class Sampler(Entry):
    """Base of what picks the next point of a space."""

    kind: ClassVar[str] = "sampler"


Seed = Annotated[int, Field(ge=0, description="of the draws")]


class Random(Sampler):
    """Every open value drawn on its own, each choice as likely as another.

    Source: Bergstra and Bengio, JMLR 2012; the search of Minami et al., ACCV 2020, Sec. 3.5.
    """

    word: ClassVar[str] = "random"

    seed: Seed = 0


class Tpe(Sampler):
    """Tree of Parzen estimators: values that good points have and bad ones do not.

    Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011.
    """

    word: ClassVar[str] = "tpe"

    seed: Seed = 0


class Nsga2(Sampler):
    """NSGA-II: generations bred from the points that no other dominates, for several objectives.

    The first `population` points are random. Source: Deb et al., A Fast and Elitist Multiobjective
    Genetic Algorithm: NSGA-II, IEEE Transactions on Evolutionary Computation 6(2), 2002.
    """

    word: ClassVar[str] = "nsga2"

    seed: Seed = 0
    population: Annotated[int, Field(ge=2, description="points of a generation")] = 50


class All(Sampler):
    """Every point of the space once, in order, equal graphs left out; needs a finite space."""

    word: ClassVar[str] = "all"


class Pruner(Entry):
    """Base of what ends trials early."""

    kind: ClassVar[str] = "pruner"


class Asha(Pruner):
    """After min * reduction^r epochs, r = 0, 1, ..., only the best 1 / reduction so far go on.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020; the
    rule of Minami et al., ACCV 2020, Sec. 3.5.
    """

    word: ClassVar[str] = "asha"

    min: Annotated[int, Field(ge=1, description="epochs before the first rung")] = 1
    reduction: Annotated[int, Field(ge=2, description="one in so many goes on at a rung")] = 2


class NoPruner(Pruner):
    """Every trial is trained to its end."""

    word: ClassVar[str] = "none"


class Objective(Entry):
    """Base of what a search maximises."""

    kind: ClassVar[str] = "objective"


class Measure(ReferringEntry, Objective):
    """Base of what is counted of a node's answers, in percent, as they are after each epoch.

    Of a node with several heads the mean over them. `metric` names it among those of `train`, None
    for the accuracy.
    """

    metric: ClassVar[Metric | None] = None

    of: Annotated[Answer, Field(description="whose answers count")]
    on: Annotated[
        Literal["validation", "test"], Field(description="the split; `test` is selecting on it")
    ] = "validation"


class Accuracy(Measure):
    """a = 100 correct / samples: top-1, in percent, of a node or one of its heads.

    With masks, of pixels. Source: Minami et al., ACCV 2020, Sec. 3.5, on the validation split.
    """

    word: ClassVar[str] = "accuracy"


class Miou(Measure):
    """Mean over classes of intersection over union, in percent, which is for masks.

    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010.
    """

    word: ClassVar[str] = "miou"
    metric: ClassVar[Metric | None] = "miou"


class F1(Measure):
    """Mean over classes of 2 correct / (labels + answers), in percent: where classes are uneven."""

    word: ClassVar[str] = "f1"
    metric: ClassVar[Metric | None] = "f1"


class Cost(ReferringEntry, Objective):
    """Base of what a node costs once it is trained; written with a minus, as it is to be small.

    Of an ensemble the sum over the networks that it needs.
    """

    of: Annotated[Node, Field(description="whose network counts")]


class ParameterCount(Cost):
    """The number of trainable parameters: `-parameters(a)` among several objectives."""

    word: ClassVar[str] = "parameters"


class Flops(Cost):
    """FLOPs for one image, of convolutions and matrix products: `-flops(a)` among several.

    A multiplication and an addition are two.
    """

    word: ClassVar[str] = "flops"


class SearchSettings(Parameters):
    """`search { ... }`."""

    trials: Annotated[int, Field(ge=1, description="points of the space to try")] = 100
    sampler: Sampler = Field(default_factory=Random.model_construct, description="picks points")
    pruner: Pruner = Field(default_factory=Asha.model_construct, description="ends trials early")
    objective: Annotated[
        Objective | None,
        Field(
            description="what counts; several in a list; the only target's accuracy unless given"
        ),
    ] = None
    epochs: Annotated[
        int | None,
        Field(
            ge=1,
            description="of a full trial, all phases together; as many as a run has unless given",
        ),
    ] = None
    confirm: Annotated[
        int, Field(ge=0, description="seeds to retrain the top three with; 0 for none")
    ] = 0
    keep: Annotated[
        int, Field(ge=0, description="best trials whose trained networks are kept; 0 for none")
    ] = 0
    dedupe: Annotated[bool, Field(description="try equal graphs once")] = True
    timeout: Annotated[
        float | None,
        Field(gt=0, description="hours after which no trial begins, those before a resume too"),
    ] = None
    workers: Annotated[
        int | None,
        Field(ge=1, description="trials at a time; one a GPU, or one for two cores, unless given"),
    ] = None
