"""The data that tracking tools receive: logged runs, their rows, and how they end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

State = Literal["finished", "pruned", "failed", "killed"]


@dataclass(frozen=True)
class Row:
    """The numbers after an epoch, counted from 1 over all phases, by names such as `loss/a`."""

    epoch: int
    values: Mapping[str, float]
    phase: str | None = None


@dataclass(frozen=True)
class Group:
    """Logged runs that belong together: the seeds of a run, or the trials of a search.

    `text` is the spec, or the space, that all of them are from.
    """

    name: str
    folder: Path
    text: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class LoggedRun:
    """The training with one seed, or a trial of a search.

    Attributes:
        key: tells it from others of the folder, such as "seed-0" or "trial-3".
        name: for people.
        folder: of the run or the search.
        epoch: so many epochs were done before; 0 but for one that is resumed.
        text: the spec.
        parameters: hyper-parameters, by the names of settings.
        tags: digest, versions, device and the like.
        goal: the number that counts, such as "test_accuracy/a".
        phases: the names of its phases in order.
        group: what it belongs to, None where it stands alone.
        rebuilt: whether the folder has all rows so far, so that its log may be written anew.
        picture: the picture of its graph for a suffix such as ".png", None where there is none.
    """

    key: str
    name: str
    folder: Path
    epoch: int
    text: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    goal: str
    phases: tuple[str, ...] = ()
    group: Group | None = None
    rebuilt: bool = False
    picture: Callable[[str], bytes | None] = field(default=lambda _: None)

    def phase_number(self, row: Row) -> int | None:
        """The number of the phase of a row, counted from 1, for tools that take only numbers."""
        return None if row.phase is None else self.phases.index(row.phase) + 1
