"""The status of a table's rows: the tasks of each, and their results on the disk. No torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Literal

from ktgdsl.backend.spec_or_space import require_space, require_spec
from ktgdsl.backend.user_sources import user_sources
from ktgdsl.compiler import Compiled, compile_file
from ktgdsl.errors import KtgError, RunError, SpecError
from ktgdsl.files import sha256
from ktgdsl.plan.model import DataPlan, Plan
from ktgdsl.searching.result import SearchResult
from ktgdsl.tables.finished import result_of
from ktgdsl.tables.model import Row, Table
from ktgdsl.training.result import RunResult
from ktgdsl.training.resume_checks import changed_code, last_recorded, mixes_code
from ktgdsl.training.run_files import folder_error, reporting_write_errors
from ktgdsl.training.run_folder import PLAN, RunFolder

State = Literal["done", "begun", "stale", "to do"]

OWN_DATA = ("folder", "python")
"""The data sets that are the user's own."""


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

    data: str | None = None
    """The digest of the data's content, where they are the user's own or lie below a `root`."""

    @cached_property
    def state(self) -> State:
        """The state of the results in the folder. Raises RunError (E502) for another training's."""
        if not (self.folder / "plan.json").exists():
            return "to do"
        if task_hash(self._stored.plan()) != task_hash(self.plan):
            raise _unusable(self.folder, f"{self.folder} holds another training")
        if self.stale is not None:
            return "stale"
        return "done" if (self.folder / "result.json").exists() else "begun"

    @cached_property
    def stale(self) -> str | None:
        """Why the results in the folder are out of date, in words; None if they are not."""
        environment, code = self._stored.environment(), user_sources(self.plan)
        if PLAN not in environment:  # of an older version
            own = bool(code) or self.data is not None
            return "it does not say what its code and data were" if own else None
        if changed := changed_code(environment, code):
            return f"its code has changed: {', '.join(changed)}"
        if mixes_code(environment):
            return "it was resumed with other code than it was begun with"
        if self.data not in (None, last_recorded(environment, "data")):
            return "its data have changed"
        return None

    def require_best(self) -> None:
        """Raise RunError (E502) unless the graph of a search that is done is what it wrote."""
        path, result = self.folder / "best.ktg", self.folder / "result.json"
        try:
            expected = SearchResult.from_json(result.read_text("utf-8"), self.folder).best_sha256
            if expected in (None, sha256(path.read_bytes())):
                return
        except (OSError, ValueError) as error:
            raise _unusable(result, f"{result} cannot be read as the result of a search") from error
        raise _unusable(path, f"{path} is not what the search wrote: it was changed, or is damaged")

    @property
    def _stored(self) -> RunFolder:
        return RunFolder(self.folder)

    def set_aside(self) -> Path:
        """Move stale results to another folder, which is returned."""
        numbered = (self.folder.with_name(f"{self.folder.name}.stale-{n}") for n in count(1))
        aside = next(path for path in numbered if not path.exists())
        with reporting_write_errors(self.folder):
            return self.folder.rename(aside)

    def result(self) -> RunResult:
        """The result of a run that is done. Raises RunError (E502) when it cannot be read."""
        path = self.folder / "result.json"
        try:
            return RunResult.from_json(path.read_text("utf-8"), self.folder)
        except (OSError, ValueError) as error:
            raise _unusable(path, f"{path} cannot be read as the result of a run") from error


@dataclass(frozen=True)
class RowStatus:
    """A row and what it needs: nothing if it is cited only or a run that is finished, else a run,
    some after a search.

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
    def state(self) -> Literal["cited", "failed"] | State:
        """The status in a word."""
        if self.error is not None:
            return "failed"
        if self.result is not None:
            return "done"
        if self.spec is None:
            return "cited"
        states = [task.state for task in self.tasks]
        if "stale" in states:
            return "stale"
        return "to do" if {*states} <= {"to do"} else "begun"

    @property
    def tasks(self) -> list[Task]:
        """The search and the run, as far as they are known."""
        return [task for task in (self.search, self.run) if task is not None]


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
    _read: dict[str, tuple[DataPlan, str]] = field(default_factory=dict, compare=False)
    """Data that were read already, by their plan as JSON: with facts, and with their digest."""

    def status(self, row: Row) -> RowStatus:
        """The status of a row as it is now. Raises nothing: an error is in the status."""
        if row.run is not None:
            return self._finished(row, self.folder / row.run)
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
            search.require_best()
            of_best = (*self.table.overrides_of_best(row), *self._settings(searching=False))
            best = self._task(search.folder / "best.ktg", of_best, searching=False)
            return self._with_run(status, best)
        except KtgError as error:
            return RowStatus(row, path, settings, error=error)

    @staticmethod
    def _finished(row: Row, folder: Path) -> RowStatus:
        try:
            return RowStatus(row, result=result_of(folder)[1])
        except KtgError as error:
            return RowStatus(row, error=error)

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
            (require_space if searching else require_spec)(plan, compiled.tree)
        except RunError as error:
            raise RunError(error.diagnostics, compiled.sources) from None
        name = f"{plan.graph.name}-{plan.data.source.name}-{task_hash(plan)[:10]}"
        plan, digest = self._with_data(plan, self.out / name)
        return Task(compiled, plan, tuple(settings), self.out / name, digest)

    def _with_data(self, plan: Plan, folder: Path) -> tuple[Plan, str | None]:
        """The plan with the facts of its data, and their digest where both have to be found out."""
        is_own = plan.data.source.name in OWN_DATA
        if not is_own and (plan.data.root is None or not folder.exists()):
            return plan, None
        from ktgdsl.training.datasets.read import with_data
        from ktgdsl.training.identity import identify

        key = plan.data.model_dump_json()
        if key not in self._read:
            completed, identity = identify(plan)
            self._read[key] = completed.data, identity.data
        data, digest = self._read[key]
        return with_data(plan, data), digest


def task_hash(plan: Plan) -> str:
    """A hash of what is trained, how often, and how it is searched, but for code and data."""
    if plan.data.source.name in OWN_DATA:  # whose facts change with them
        data = plan.data.model_copy(update={"facts": None})
        plan = Plan.model_construct(**{**dict(plan), "data": data})
    search = (
        None if plan.search is None else plan.search.model_dump_json(exclude={"workers", "timeout"})
    )
    facts = (plan.digest, plan.train.repeats, search if plan.space is not None else None)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _unusable(path: Path, message: str) -> RunError:
    help = "move it away, or choose another folder with `--out`"
    return folder_error(path, message, help)
