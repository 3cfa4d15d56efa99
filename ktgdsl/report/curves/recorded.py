"""Reads a run from its folder: its plan, what it recorded by epoch, and its result if any."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ktgdsl.plan.model import Plan
from ktgdsl.training.events import SplitName
from ktgdsl.training.result import RunResult
from ktgdsl.training.run_files import folder_error, reporting_read_errors
from ktgdsl.training.run_folder import open_run_folder, require_result_of

MAX_EPOCHS = 10**12
"""More than any training has: what is larger is damaged, and no axis can show it."""

Value = Annotated[float, Field(ge=-1e300, le=1e300)]
"""A number that an axis can show; no training in float32 or below has a larger one."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True, allow_inf_nan=False)


class EdgeRecord(_Record):
    """An edge over an epoch: its mean loss a step, and the share of samples with an open gate."""

    loss: Value
    open: Value


class HeadRecord(_Record):
    """A head of a node that has several: its accuracies in percent."""

    test_accuracy: Value | None = None
    validation_accuracy: Value | None = None

    @property
    def evaluated(self) -> float | None:
        """The accuracy on the split that is evaluated after each epoch."""
        return self.test_accuracy if self.validation_accuracy is None else self.validation_accuracy


class EpochRecord(_Record):
    """A line of `metrics.jsonl`: a node after an epoch of a repeat, accuracies in percent.

    What else it has are the metrics that `train` names.
    """

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Any]

    repeat: int = Field(ge=1, le=MAX_EPOCHS)
    epoch: int = Field(ge=1, le=MAX_EPOCHS)
    node: str
    phase: str | None = None
    loss: Value | None
    accuracy: Value | None
    test_accuracy: Value | None = None
    validation_accuracy: Value | None = None
    edges: dict[str, EdgeRecord]
    heads: dict[str, HeadRecord] = {}

    @property
    def evaluated(self) -> float | None:
        """The accuracy on the split that is evaluated after each epoch."""
        return self.test_accuracy if self.validation_accuracy is None else self.validation_accuracy

    def measured(self, metric: str) -> float | None:
        """A metric, in percent, on the split that is evaluated after each epoch."""
        split = "test" if self.validation_accuracy is None else "validation"
        value = self.__pydantic_extra__.get(f"{split}_{metric}")
        return value if isinstance(value, int | float) else None


@dataclass(frozen=True)
class RecordedRun:
    """A run as its folder has it. `epochs` has a record for each repeat, epoch and node.

    `name` tells it from the other runs beside it. `result` is None while it is not finished.
    """

    name: str
    folder: Path
    plan: Plan
    epochs: tuple[EpochRecord, ...]
    result: RunResult | None

    @property
    def split(self) -> SplitName:
        """The split that is evaluated after each epoch."""
        return "validation" if self.plan.data.holdout else "test"

    def of(self, node: str) -> list[EpochRecord]:
        """The records of a node."""
        return [each for each in self.epochs if each.node == node]


def read_runs(folders: Sequence[Path]) -> list[RecordedRun]:
    """The runs of these folders, by the last parts of their paths or, where equal, the whole.

    Raises RunError (E502) where one is not the folder of a run, or cannot be read.
    """
    names = [folder.resolve().name for folder in folders]
    return [
        read_run(folder, name if names.count(name) == 1 else str(folder))
        for folder, name in zip(folders, names, strict=True)
    ]


def read_run(folder: Path, name: str) -> RecordedRun:
    """The run of a folder, finished or not, under that name. Raises as `read_runs` does."""
    run = open_run_folder(folder)
    plan, result = run.plan(), run.result()
    if result is not None:
        require_result_of(plan, result)
    return RecordedRun(name, folder, plan, tuple(_epochs(run.metrics)), result)


def _epochs(path: Path) -> Iterator[EpochRecord]:
    """The lines of the metrics; a last one that is only partly written is left out."""
    if not path.exists():
        return
    with reporting_read_errors(path):
        lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line.endswith(b"\n"):
            return
        try:
            yield EpochRecord.model_validate_json(line)
        except ValueError as error:
            message = f"line {number} of {path} is damaged"
            raise folder_error(path, message, "put the file back from a copy") from error
