"""Files written whole or not at all, and the checkpoint that a run goes on from."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.files import write_whole

VERSION = 1


@dataclass(frozen=True)
class Accuracies:
    """Top-1 in percent of every node after the last epoch; `validation` only under holdout."""

    test: Mapping[str, float]
    validation: Mapping[str, float] | None


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands: `epoch` epochs of repeat `repeat` (counted from 1) are done.

    `finished` has the accuracies of the repeats before, `seconds` is the time spent so
    far, `state` is the stepper's, None before the first epoch.
    """

    digest: str
    repeat: int
    epoch: int
    seconds: float
    finished: tuple[Accuracies, ...]
    state: Mapping[str, Any] | None


def unusable(path: Path, message: str, help: str | None = None) -> RunError:
    """The complaint (E502) about a run folder or a file in it."""
    return RunError([Diagnostic("E502", message, help=help, path=str(path))])


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failing write, such as one on a full disk, into a RunError about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise unusable(
            path,
            f"cannot write {path}: {reason}",
            "make room or choose another place; what was kept before is intact",
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Puts `content` at `path` on the disk; at every moment the old file or the new is there.

    Raises RunError (E502) when it cannot, and leaves the old file.
    """
    with writing(path):
        write_whole(path, content)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replaces the checkpoint at `path`. Raises RunError (E502) and leaves the old one."""
    content = {"version": VERSION, **vars(checkpoint)}
    content["finished"] = [asdict(each) for each in checkpoint.finished]
    # Serialised in memory: on a full disk torch.save would raise something of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, digest: str) -> Checkpoint:
    """The checkpoint at `path`, its tensors on the CPU; it has to be of the plan `digest`.

    Only plain data is read, never code. Raises RunError (E502) when the file is torn,
    something else, or of another plan.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch.load raises on a foreign file is open-ended
        raise _unreadable(path) from error
    if not isinstance(content, dict) or content.pop("version", None) != VERSION:
        raise _unreadable(path)
    if content.get("digest") != digest:
        raise unusable(
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
    return unusable(
        path,
        f"{path} cannot be read as a checkpoint: it is damaged, or something else",
        "put the file back from a copy, or delete it to train from the first epoch again",
    )
