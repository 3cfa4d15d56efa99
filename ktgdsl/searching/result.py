"""The result of a search, as stored in `result.json`."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ktgdsl.files import sealed_json, unsealed_json
from ktgdsl.searching.study.standing import Standing
from ktgdsl.training.events import SplitName
from ktgdsl.training.result import Percent, Pretrained, Score


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)


class Finalist(_Record):
    """One of the best trials: its number, value in percent, epochs, seed and graph.

    `value` is on the split that judges trials, with the trial's final weights. `confirmed` is the
    score of trainings with further seeds, None without any. `spec` is the file of the graph,
    relative to the folder.
    """

    trial: Annotated[int, Field(ge=0)]
    value: Percent
    epochs: int
    seed: int
    digest: str
    canonical_digest: str
    spec: str
    confirmed: Score | None = None


class Unjudged(_Record):
    """A check of the result that diverged or failed, and so has no value."""

    name: str
    seed: int
    reason: str


class Teacher(Pretrained):
    """A frozen node that was pre-trained for trials, and its network, as a spec writes it."""

    node: str
    network: str


class PrunedTrial(Standing):
    """A pruned trial, and its rank at the rung where it was pruned."""

    trial: Annotated[int, Field(ge=0)]


class FrontTrial(_Record):
    """A trial on the Pareto front of several objectives.

    `values` has each measure by its name, such as `accuracy(a)` in percent on the split that judges
    trials, and `parameters(a)`. `spec` is the file of the graph, relative to the folder.
    """

    trial: Annotated[int, Field(ge=0)]
    values: dict[str, int | float]
    seed: int
    digest: str
    canonical_digest: str
    spec: str


class SearchResult(_Record):
    """The result of a finished search.

    Attributes:
        folder: of the search; not in `result.json`.
        target: the node whose objective was maximised.
        metric: that was maximised.
        head: the head of the target that the metric is of; None for the target's only head.
        finalists: the best trials, best first; with several objectives the first of `front`.
        tied: the numbers of other trials that are as good as the first finalist.
        best_sha256: the digest of `best.ktg`.
        complete: whether the first finalist was trained to the end; if every trial was pruned or
            failed, it is the best at the highest rung.
        trials: the number of trials.
        states: the number of trials by state.
        baselines: the scores of the target alone on labels, and of the graph with all gates
            `through`, with the same epochs and split as trials.
        unjudged: the trainings of baselines and finalists that gave no value.
        kept: the folders of trials with trained networks, relative to `folder`, best first.
        pruned: the rank of each pruned trial; without those pruned by an older version or by the
            caller's pruner.
        objectives: what was maximised if there are several, such as `-parameters(a)`.
        front: the Pareto front of several objectives, the best by the first objective first.
        teachers: the pre-trained nodes, whether trained or loaded from the cache.
        validation_samples: the size of the validation split.
        test_samples: the size of the test split if it judged trials, else None.
        epochs: of a complete trial.
        epochs_trained: of all trials together.
        seconds: that the search took, over all resumes.
        exhausted: whether the space had no further graph.
    """

    folder: Path
    target: str
    metric: str = "accuracy"
    head: str | None = None
    finalists: Annotated[tuple[Finalist, ...], Field(min_length=1)]
    tied: tuple[int, ...] = ()
    best_sha256: str | None = None
    complete: bool
    trials: int
    states: dict[str, int]
    baselines: dict[str, Score]
    unjudged: tuple[Unjudged, ...] = ()
    kept: tuple[str, ...] = ()
    pruned: tuple[PrunedTrial, ...] = ()
    objectives: tuple[str, ...] = ()
    front: tuple[FrontTrial, ...] = ()
    teachers: tuple[Teacher, ...] = ()
    validation_samples: Annotated[int, Field(ge=1)]
    test_samples: Annotated[int, Field(ge=1)] | None = None
    epochs: int
    epochs_trained: int
    seconds: Annotated[float, Field(ge=0, le=1e12)]
    exhausted: bool

    @property
    def best(self) -> Finalist:
        """The best graph."""
        return self.finalists[0]

    @property
    def judged_on(self) -> SplitName:
        """The split on which trials were judged."""
        return "validation" if self.test_samples is None else "test"

    @property
    def samples(self) -> int:
        """The number of samples of that split."""
        return self.validation_samples if self.test_samples is None else self.test_samples

    @property
    def step(self) -> float:
        """The accuracy in percent of one sample of that split, the smallest difference."""
        return 100 / self.samples

    @property
    def objective(self) -> str:
        """The objective in words, such as "accuracy of a"."""
        head = "" if self.head is None else f".{self.head}"
        return f"{self.metric} of {self.target}{head}"

    def __repr__(self) -> str:
        best = self.best
        value = f"{best.value:.2f} %" if best.confirmed is None else str(best.confirmed)
        return (
            f"<SearchResult {self.target} {value} in trial {best.trial} of {self.trials}"
            f"{f', {len(self.front)} on the front' if self.front else ''}; {self.folder}>"
        )

    __str__ = __repr__

    def __fspath__(self) -> str:
        """The folder, so that a result can be passed as a path."""
        return os.fspath(self.folder)

    def to_json(self) -> str:
        """The text of `result.json`, without the folder."""
        content = self.model_dump(mode="json", exclude={"folder"})
        return sealed_json(content)

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Self:
        """The result that `to_json` wrote. Raises ValueError when the text is not one."""
        content, _ = unsealed_json(text)  # those of older versions have no digest
        return cls.model_validate({**content, "folder": folder})
