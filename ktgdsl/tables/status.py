"""The status of a table's rows: what each needs, and what of it is on the disk. No torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from ktgdsl.backend.supported import require_searchable, require_supported
from ktgdsl.compiler import Compiled, compile_file
from ktgdsl.errors import KtgError, RunError, SpecError
from ktgdsl.plan.model import Plan
from ktgdsl.tables.model import Row, Table
from ktgdsl.training.result import RunResult
from ktgdsl.training.run_files import folder_error


@dataclass(frozen=True)
class Task:
    """A run or a search that a row needs, and the folder of its results.

    The folder's name is made from the plan, so that equal tasks, of one table or of several,
    are done once.
    """

    compiled: Compiled
    plan: Plan
    settings: tuple[str, ...]
    folder: Path

    @cached_property
    def state(self) -> Literal["done", "begun", "to do"]:
        """What is in the folder. Raises RunError (E502) when that is of another training."""
        path = self.folder / "plan.json"
        try:
            stored = Plan.from_json(path.read_bytes())
        except FileNotFoundError:
            return "to do"
        except (OSError, ValueError) as error:
            raise _unusable(path, f"{path} cannot be read as a plan") from error
        if task_hash(stored) != task_hash(self.plan):
            raise _unusable(self.folder, f"{self.folder} holds another training")
        return "done" if (self.folder / "result.json").exists() else "begun"

    def result(self) -> RunResult:
        """The result of a run that is done. Raises RunError (E502) when it cannot be read."""
        path = self.folder / "result.json"
        try:
            return RunResult.from_json(path.read_text("utf-8"), self.folder)
        except (OSError, ValueError) as error:
            raise _unusable(path, f"{path} cannot be read as the result of a run") from error


@dataclass(frozen=True)
class RowStatus:
    """A row and what it needs: nothing if it is cited only, else a run, some after a search.

    `run` is None while there is no graph to be trained, `result` while it is not trained to the
    end. `error` is what is in the way.
    """

    row: Row
    spec: Path | None = None
    settings: tuple[str, ...] = ()
    search: Task | None = None
    run: Task | None = None
    result: RunResult | None = None
    error: KtgError | None = None

    @property
    def state(self) -> Literal["cited", "failed", "done", "begun", "to do"]:
        """The status in a word."""
        if self.error is not None:
            return "failed"
        if self.spec is None:
            return "cited"
        if self.result is not None:
            return "done"
        begun = [task for task in (self.search, self.run) if task and task.state != "to do"]
        return "begun" if begun else "to do"


@dataclass(frozen=True)
class Rerun:
    """A table, the folder that it lies in, the folder for results, and overrides of all rows.

    `settings` come from the command line: those of `search` are for spaces, the rest for all.
    """

    table: Table
    folder: Path
    out: Path
    settings: Sequence[str] = ()
    root: str | None = None

    def status(self, row: Row) -> RowStatus:
        """The status of a row as it is now. Raises nothing: an error is in the status."""
        file = row.spec or row.space
        if file is None:
            return RowStatus(row)
        path = self.folder / file
        is_space = row.space is not None
        settings = (*self.table.overrides(row), *self._settings(searching=is_space))
        status = RowStatus(row, path, settings)
        try:
            if not is_space:
                return self._with_run(status, self._task(path, settings, searching=False))
            search = self._task(path, settings, searching=True)
            status = replace(status, search=search)
            if search.state != "done":
                return status
            of_best = (*self.table.overrides_of_best(row), *self._settings(searching=False))
            best = self._task(search.folder / "best.ktg", of_best, searching=False)
            return self._with_run(status, best)
        except KtgError as error:
            return RowStatus(row, path, settings, error=error)

    @staticmethod
    def _with_run(status: RowStatus, run: Task) -> RowStatus:
        return replace(status, run=run, result=run.result() if run.state == "done" else None)

    def _settings(self, *, searching: bool) -> list[str]:
        return [each for each in self.settings if searching or not each.startswith("search.")]

    def _task(self, path: Path, settings: Sequence[str], *, searching: bool) -> Task:
        compiled = compile_file(path, settings, self.root)
        plan = compiled.plan
        if plan is None:
            raise SpecError(compiled.diagnostics, compiled.sources)
        try:
            (require_searchable if searching else require_supported)(plan, compiled.tree)
        except RunError as error:
            raise RunError(error.diagnostics, compiled.sources) from None
        name = f"{plan.graph.name}-{plan.data.source.name}-{task_hash(plan)[:10]}"
        return Task(compiled, plan, tuple(settings), self.out / name)


def task_hash(plan: Plan) -> str:
    """A hash of all that a result depends on: what is trained, how often, how it is searched."""
    search = None if plan.search is None else plan.search.model_dump_json(exclude={"workers"})
    facts = (plan.digest, plan.train.repeats, search if plan.space is not None else None)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _unusable(path: Path, message: str) -> RunError:
    help = "move it away, or choose another folder with `--out`"
    return folder_error(path, message, help)
