"""Finds the runs and searches below a folder, damaged ones too. No torch."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ktgdsl.errors import KtgError, RunError
from ktgdsl.plan.model import Plan
from ktgdsl.searching.result import SearchResult
from ktgdsl.training.events import SplitName
from ktgdsl.training.result import Score
from ktgdsl.training.run_files import folder_error, named_folder, read_file
from ktgdsl.training.run_folder import RunFolder, is_search_folder, require_result_of

State = Literal["done", "running", "stopped", "unreadable"]


@dataclass(frozen=True)
class FoundRun:
    """A run or a search, as far as its folder can be read.

    Attributes:
        folder: that it lies in.
        state: finished, at work now, stopped before its end (and resumable), or not to be read.
        problem: why it cannot be read.
        kind: what it is.
        plan: of it; of a search that of the space.
        score: of the target in percent; of a search that of the best graph.
        split: that the score is on.
        trials: of a search that is finished.
        started: when it began.
    """

    folder: Path
    state: State
    problem: str | None = None
    kind: Literal["run", "search"] | None = None
    plan: Plan | None = None
    score: Score | None = None
    split: SplitName | None = None
    trials: int | None = None
    started: datetime | None = None

    @property
    def target(self) -> str | None:
        """Whose score it is."""
        if self.plan is None:
            return None
        if self.kind == "search" and self.plan.search is not None:
            return self.plan.search.node
        return self.plan.graph.targets[0]


def found_runs(folder: str | Path) -> list[FoundRun]:
    """Everything that was run in a folder or below it, the last one first.

    A folder that looks like that of a run and cannot be read is listed, with the reason.

    Raises RunError (E502) when there is no such folder.
    """
    top = named_folder(folder)
    if not top.is_dir():
        message = f"there is no folder {top}"
        raise folder_error(top, message, "name one that has folders of runs in it")
    known = [_read(path) for path in _candidates(top)]
    start = datetime.min.replace(tzinfo=UTC)
    return sorted(known, key=lambda run: run.started or start, reverse=True)


def _candidates(top: Path) -> Iterator[Path]:
    """Folders with the files of a run. Links are not followed, and nothing inside a run is one."""
    for place, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if "plan.json" in files or "result.json" in files:
            folders.clear()
            yield Path(place)


def _read(folder: Path) -> FoundRun:
    try:
        return _readable(RunFolder(folder))
    except KtgError as error:
        return FoundRun(folder, "unreadable", error.diagnostics[0].message)
    except (OSError, ValueError, RecursionError) as error:
        return FoundRun(folder, "unreadable", f"{folder} cannot be read: {error}")


def _readable(run: RunFolder) -> FoundRun:
    plan, started = run.plan(), _started(run)
    if is_search_folder(run.path):
        path = run.path / "result.json"
        if not path.exists():
            return FoundRun(run.path, _unfinished(run), None, "search", plan, started=started)
        try:
            result = SearchResult.from_json(read_file(path), run.path)
        except ValueError as error:
            message = f"{path} cannot be read as the result of a search"
            raise folder_error(path, message) from error
        best = result.best
        score = best.confirmed or Score.of([best.value])
        return FoundRun(
            run.path, "done", None, "search", plan, score, result.judged_on, result.trials, started
        )
    if (finished := run.result()) is None:
        return FoundRun(run.path, _unfinished(run), None, "run", plan, started=started)
    require_result_of(plan, finished)
    score = finished.nodes[finished.target].accuracy
    return FoundRun(run.path, "done", None, "run", plan, score, "test", started=started)


def _started(run: RunFolder) -> datetime | None:
    """When it began; None where that is not said."""
    text = run.environment().get("started")
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unfinished(run: RunFolder) -> Literal["running", "stopped"]:
    """Whether a process has the lock of the folder; where there are no locks, none is seen."""
    try:
        with run.locked():
            return "stopped"
    except RunError:
        return "running"
