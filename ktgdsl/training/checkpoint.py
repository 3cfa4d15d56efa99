"""Checkpoints: the file from which an interrupted run resumes."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ktgdsl.errors import RunError
from ktgdsl.files import seal, unsealed
from ktgdsl.training.run_files import folder_error, write_file

VERSION = 2


@dataclass(frozen=True)
class Accuracies:
    """Top-1 in percent of every node after the last epoch; `validation` only under holdout.

    `pretrained` has, by node, the fields of a `ktgdsl.training.result.Pretrained`. `epochs` are
    those of each phase; without any they are the planned ones.
    """

    test: Mapping[str, float]
    validation: Mapping[str, float] | None
    pretrained: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    epochs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The progress of a run.

    Attributes:
        digest: of the plan.
        repeat: the repeat that is trained, counted from 1.
        epoch: how many epochs of it are done.
        seconds: the time spent so far.
        finished: the accuracies of the repeats before.
        state: the state dict of the stepper, None before the first epoch.
        pretrained: of the repeat that is trained, as in `Accuracies`.
    """

    digest: str
    repeat: int
    epoch: int
    seconds: float
    finished: tuple[Accuracies, ...]
    state: Mapping[str, Any] | None
    pretrained: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the checkpoint at `path`. Raises RunError (E502), and the old one is left then."""
    content = {"version": VERSION, **vars(checkpoint)}
    content["finished"] = [asdict(each) for each in checkpoint.finished]
    # Serialised in memory: on a full disk torch.save would raise something of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.write(seal(buffer.getvalue()))  # torch.load reads past it
    write_file(path, buffer.getvalue())


def load_checkpoint(path: Path, digest: str) -> Checkpoint:
    """The checkpoint at `path`, its tensors on the CPU.

    Only plain data is read, never code, and only what is the file that was written, to the bit.

    Raises:
        RunError: when the file is not a whole checkpoint, or not of the plan with that
            `digest` (E502).
    """
    try:
        stored = io.BytesIO(unsealed(path.read_bytes()))
        content = torch.load(stored, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load may raise anything on a foreign file
        raise _unreadable(path) from error
    if not isinstance(content, dict) or content.pop("version", None) != VERSION:
        raise _unreadable(path)
    if content.get("digest") != digest:
        raise folder_error(
            path,
            f"the checkpoint {path} is of another training than plan.json beside it",
            "put back the plan.json that the run wrote, or start a new run",
        )
    try:
        content["finished"] = tuple(Accuracies(**each) for each in content["finished"])
        return Checkpoint(**content)
    except (KeyError, TypeError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> RunError:
    return folder_error(
        path,
        f"{path} cannot be read as a checkpoint: it is damaged, or something else",
        "put the file back from a copy, or delete it to train from the first epoch again",
    )
