"""The result of a run: accuracies of all nodes, as in `result.json`."""

import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ktgdsl.files import sealed_json, unsealed_json

Percent = Annotated[float, Field(ge=0, le=100)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)


class Score(_Record):
    """An accuracy in percent: mean and sample standard deviation over the runs, one a seed.

    `std` is None for a single run.
    """

    mean: Percent
    std: Percent | None
    runs: Annotated[tuple[Percent, ...], Field(min_length=1)]

    @classmethod
    def of(cls, runs: Sequence[float]) -> Self:
        """The score of these accuracies."""
        std = statistics.stdev(runs) if len(runs) > 1 else None
        return cls(mean=statistics.fmean(runs), std=std, runs=tuple(runs))

    def __str__(self) -> str:
        if self.std is None:
            return f"{self.mean:.2f} %"
        return f"{self.mean:.2f} ± {self.std:.2f} % (n = {len(self.runs)})"


class Pretrained(_Record):
    """The pre-training of a frozen node: its accuracy in percent, on `split`, at its end.

    `cached` says that it was done before, and the weights were in the cache. `stopped` is the
    epoch after which it ended early, None if it did not.
    """

    accuracy: float
    split: Literal["test", "validation"]
    cached: bool
    stopped: int | None = None


class EarlyStop(_Record):
    """A phase that ended before its last epoch: after `epochs` of `planned` epochs, and why.

    `phase` is its name, None for a training without phases.
    """

    seed: int
    phase: str | None
    epochs: int
    planned: int
    reason: str


class HeadResult(_Record):
    """The scores of a head of a node; see `NodeResult`."""

    accuracy: Score
    validation_accuracy: Score | None = None
    metrics: dict[str, Score] | None = None
    validation_metrics: dict[str, Score] | None = None


class NodeResult(_Record):
    """A node after the last epoch, on the test split and, under holdout, the validation split.

    `pretrained` has its pre-training in each run, if it had one; `metrics` what
    `train { metrics }` names, on the test split. Those of a node with several heads are their means
    in each run, and `heads` has those of each.
    """

    accuracy: Score
    validation_accuracy: Score | None = None
    pretrained: tuple[Pretrained, ...] | None = None
    metrics: dict[str, Score] | None = None
    validation_metrics: dict[str, Score] | None = None
    heads: dict[str, HeadResult] | None = None


def _scores(node: NodeResult) -> Iterator[Score]:
    """All scores of a node and its heads."""
    results: list[NodeResult | HeadResult] = [node, *(node.heads or {}).values()]
    for each in results:
        yield from filter(None, (each.accuracy, each.validation_accuracy))
        yield from (each.metrics or {}).values()
        yield from (each.validation_metrics or {}).values()


_MEASURED = ("validation_accuracy", "metrics", "validation_metrics")


def _leave_out_none(content: dict[str, Any], *names: str) -> None:
    for name in names:
        if content[name] is None:
            del content[name]


class RunResult(_Record):
    """A finished run. `seconds` is the time it took, over all its parts if it was resumed.

    `epochs` are those of a training, really trained; of the longest one if some ended early, which
    `stopped` lists.
    """

    folder: Path
    target: str
    nodes: dict[str, NodeResult]
    digest: str
    seeds: tuple[int, ...]
    epochs: int
    seconds: Annotated[float, Field(ge=0, le=1e12)]
    stopped: tuple[EarlyStop, ...] = ()

    @model_validator(mode="after")
    def _target_is_a_node(self) -> Self:
        if self.target not in self.nodes:
            raise ValueError(f"there is no accuracy of the target {self.target}")
        return self

    def __repr__(self) -> str:
        others = [name for name in self.nodes if name != self.target]
        accuracies = [f"{name} {self.nodes[name].accuracy}" for name in (self.target, *others)]
        return f"<RunResult {', '.join(accuracies)}; {self.folder}>"

    __str__ = __repr__

    def __fspath__(self) -> str:
        """The folder: a result may stand wherever a path of it is wanted."""
        return os.fspath(self.folder)

    def to_json(self) -> str:
        """The text of `result.json`; the folder is where it lies, so it does not say it."""
        content = self.model_dump(mode="json", exclude={"folder"})
        for node in content["nodes"].values():
            _leave_out_none(node, "pretrained", "heads", *_MEASURED)
            for head in node.get("heads", {}).values():
                _leave_out_none(head, *_MEASURED)
            for each in node.get("pretrained", ()):
                if each["stopped"] is None:
                    del each["stopped"]
        if not self.stopped:
            del content["stopped"]
        return sealed_json(content)

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Self:
        """The result that `to_json` wrote. Raises ValueError when the text is not one."""
        content, _ = unsealed_json(text)  # those of older versions have no digest
        result = cls.model_validate({**content, "folder": folder})
        for name, node in result.nodes.items():
            if any(len(score.runs) != len(result.seeds) for score in _scores(node)):
                raise ValueError(f"the scores of {name} are not those of {len(result.seeds)} runs")
        return result
