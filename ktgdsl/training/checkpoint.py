"""Checkpoints: the file from which an interrupted run resumes."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from ktgdsl.errors import RunError
from ktgdsl.files import seal, unsealed
from ktgdsl.plan.model import Plan
from ktgdsl.training.result import Percent, Pretrained
from ktgdsl.training.run_files import folder_error, write_file

VERSION = 2


def _validated(facts: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    for each in facts.values():
        Pretrained.model_validate(each)
    return facts


PretrainedFacts = Annotated[Mapping[str, Mapping[str, Any]], AfterValidator(_validated)]
"""By node, the fields of a `Pretrained`."""


MeasuredPercents = Mapping[str, Mapping[str, Percent]]
"""Metrics in percent, by node and name."""


@dataclass(frozen=True)
class Accuracies:
    """The accuracies of a finished repeat: top-1 in percent of every node after the last epoch.

    Attributes:
        test: on the test split, by node.
        validation: on the validation split; None unless one is held out.
        pretrained: by node, the fields of a `ktgdsl.training.result.Pretrained`.
        epochs: those trained in each phase; empty if all that were planned.
        measured: the metrics of the plan on the test split.
        validation_measured: the same on the validation split.
    """

    test: Mapping[str, Percent]
    validation: Mapping[str, Percent] | None
    pretrained: PretrainedFacts = field(default_factory=dict)
    epochs: tuple[int, ...] = ()
    measured: MeasuredPercents = field(default_factory=dict)
    validation_measured: MeasuredPercents = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """The progress of a run.

    Attributes:
        digest: of the plan.
        repeat: the repeat that is trained, counted from 1.
        epoch: how many epochs of it are done.
        step: how many steps of the next epoch.
        seconds: the time spent so far.
        finished: the accuracies of the repeats before.
        state: the state dict of the stepper, None before the first step.
        pretrained: of the repeat that is trained, as in `Accuracies`.
        metrics: the SHA-256 of `metrics.jsonl` so far, None where there is none.
    """

    digest: str
    repeat: Annotated[int, Field(ge=1)]
    epoch: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0, le=1e12)]
    finished: tuple[Accuracies, ...]
    state: Mapping[str, Any] | None
    pretrained: PretrainedFacts = field(default_factory=dict)
    metrics: str | None = None
    step: Annotated[int, Field(ge=0)] = 0


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the checkpoint at `path`. Raises RunError (E502), and leaves the old one then."""
    content = {"version": VERSION, **vars(checkpoint)}
    content["finished"] = [asdict(each) for each in checkpoint.finished]
    # Serialised in memory: on a full disk torch.save would raise something of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.write(seal(buffer.getvalue()))  # torch.load reads past it
    write_file(path, buffer.getvalue())


def load_checkpoint(path: Path, digest: str) -> Checkpoint:
    """The checkpoint at `path`, its tensors on the CPU.

    Reads only tensors and plain data, never code, and checks the digest at the end of the file.

    Raises:
        RunError: when the file is not an intact checkpoint, or not of the plan with that
            `digest` (E502).
    """
    try:
        stored = io.BytesIO(unsealed(path.read_bytes()))
        content = torch.load(stored, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load may raise anything on a foreign file
        raise _unreadable(path) from error
    version = content.pop("version", None) if isinstance(content, dict) else None
    if not isinstance(version, int) or version != VERSION:
        raise _unreadable(path)
    if content.get("digest") != digest:
        raise folder_error(
            path,
            f"the checkpoint {path} is of another training than plan.json beside it",
            "put back the plan.json that the run wrote, or start a new run",
        )
    try:
        return TypeAdapter(Checkpoint).validate_python(content)
    except ValidationError as error:
        raise _unreadable(path) from error


def require_progress(checkpoint: Checkpoint, plan: Plan, path: Path) -> None:
    """Raise RunError (E502) for progress that a run of the plan cannot have made."""
    nodes = {node.name for node in plan.graph.evaluated}
    is_begun = checkpoint.epoch > 0 or checkpoint.step > 0
    if (
        len(checkpoint.finished) != checkpoint.repeat - 1
        or checkpoint.repeat > plan.train.repeats + 1
        or checkpoint.epoch > plan.epochs - (checkpoint.step > 0)
        or checkpoint.step > plan.data.steps_per_epoch
        or (checkpoint.state is not None) != is_begun
        or any(each.test.keys() != nodes for each in checkpoint.finished)
    ):
        raise _unreadable(path)


def _unreadable(path: Path) -> RunError:
    return folder_error(
        path,
        f"{path} cannot be read as a checkpoint: it is damaged, or something else",
        "put the file back from a copy, or delete it to train from the first epoch again",
    )
