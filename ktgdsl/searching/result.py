"""The result of a search, as `result.json` keeps it."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ktgdsl.files import sealed_json, unsealed_json
from ktgdsl.searching.standing import Standing
from ktgdsl.training.events import SplitName
from ktgdsl.training.result import Percent, Pretrained, Score


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)


class Finalist(_Record):
    """One of the best trials: its number, value in percent, epochs, seed and graph.

    `value` is on the split that judges trials, with the weights that the trial ended with.
    `confirmed` is the same for trainings with further seeds, None where there are none. `spec` is
    the file of the graph, relative to the folder.
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
    """A training that was to judge the result and gave no value, as it diverged or failed."""

    name: str
    seed: int
    reason: str


class Teacher(Pretrained):
    """A frozen node that was pre-trained for trials, and its network, as a spec writes it."""

    node: str
    network: str


class PrunedTrial(Standing):
    """A trial that was pruned, and where it stood at the rung that it did not get beyond."""

    trial: Annotated[int, Field(ge=0)]


class FrontTrial(_Record):
    """A trial of several objectives that no other is better than in one without being worse.

    `values` has what was measured by its name, such as `accuracy(a)` in percent on the split that
    judges trials, and `parameters(a)`. `spec` is the file of the graph, relative to the folder.
    """

    trial: Annotated[int, Field(ge=0)]
    values: dict[str, int | float]
    seed: int
    digest: str
    canonical_digest: str
    spec: str


class SearchResult(_Record):
    """The end of a search.

    `finalists` has the best graphs, the best first, and `tied` the numbers of other trials that are
    as good as it. `complete` tells whether the first was
    trained to the end; where every trial was pruned or failed it is the leader of the highest
    rung. `states` counts trials. `baselines` has the target alone on labels and the graph with
    all gates open, at the same epochs, on the same split; `unjudged` the trainings of baselines
    and finalists that gave no value. That split has `validation_samples`, or under `on=test`
    `test_samples`, and one of its images is `step` percent of accuracy.
    What was maximised is the `metric` of the target, or of its `head` alone.
    `objectives` has what was maximised where that is several things, such as `accuracy(a)` and
    `-parameters(a)`, and `front` the trials that trade one for the other, the best by the first
    objective first; the finalists are then the first of them.
    `kept` has the folders of the trials whose trained networks are kept, relative to that of the
    search, the best first. `pruned` says why trials were, but for those that an older version or a
    pruner of the caller's has ended. `exhausted` says that the space had no further graph;
    `best_sha256` is the digest of `best.ktg`. `teachers` has what was pre-trained, or taken from
    the cache, each once.
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
        """The size of that split."""
        return self.validation_samples if self.test_samples is None else self.test_samples

    @property
    def step(self) -> float:
        """The accuracy in percent that one image of the split makes."""
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
        """The folder: a result may stand wherever a path of it is wanted."""
        return os.fspath(self.folder)

    def to_json(self) -> str:
        """The text of `result.json`; the folder is where it lies, so it does not say it."""
        content = self.model_dump(mode="json", exclude={"folder"})
        return sealed_json(content)

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Self:
        """The result that `to_json` wrote. Raises ValueError when the text is not one."""
        content, _ = unsealed_json(text)  # those of older versions have no digest
        return cls.model_validate({**content, "folder": folder})
