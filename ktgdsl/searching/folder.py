"""The folder of a search: its layout, and the files about its trials.

space.ktg            the space in one file
plan.json            its plan
environment.json     versions, devices, workers, command, start
study.journal        all trials, as an Optuna journal
workers/             checkpoints of running trials, and the output of workers
trials.csv           one row per trial
best.ktg             the spec of the best graph so far
top/01.ktg, ...      the specs of the finalists, best first
front/01.ktg, ...    instead of top/ with several objectives: the Pareto front
graphs.json          digests of these specs
kept/trial-N/        the trained networks of a trial, as a run folder
result.json          the result; exists when the search is finished
"""

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.files import sealed_json, sha256, unsealed_json
from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.searching.events import State
from ktgdsl.searching.front import has_several_values
from ktgdsl.searching.joining import join_command
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.study.study import DIGEST, GRAPH, SEED, attribute, reason_of, values_of
from ktgdsl.searching.study.trial_plans import graph_of_trial, point
from ktgdsl.space.nested_draws import NestedDraws
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.syntax.written import GRAPHS
from ktgdsl.training.result import Score
from ktgdsl.training.run_files import folder_error, reporting_write_errors, write_file
from ktgdsl.training.run_folder import SPACE, RunFolder, is_search_folder

TRIALS = "trials.csv"
MAX_TIED = 10
"""The most tied trials that are named in the comment of a spec."""

STATES: Mapping[TrialState, State | Literal["running"]] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


@dataclass(frozen=True)
class SearchFolder:
    """A search's folder on disk. Methods raise RunError (E502) where a file cannot be used."""

    path: Path

    @property
    def run(self) -> RunFolder:
        """The files that are as in a run folder: plan, environment and lock."""
        return RunFolder(self.path)

    @property
    def journal(self) -> Path:
        """The journal of the study."""
        return self.path / "study.journal"

    @property
    def workers(self) -> Path:
        """The files of workers while the search runs."""
        return self.path / "workers"

    @property
    def kept(self) -> Path:
        """The trained networks of the best trials."""
        return self.path / "kept"

    def kept_trial(self, number: int) -> Path:
        """The trained networks of a trial."""
        return self.kept / f"trial-{number}"

    def require_journal(self) -> None:
        """Raise RunError (E502) if a started search has no journal or an empty one.

        A shared search has a journal in its folder only when it is finished.
        """
        written = ("workers", TRIALS, "best.ktg", "result.json")
        if self.journal.is_file() and self.journal.stat().st_size > 0:
            return
        if (storage := self.run.environment().get("storage")) is not None:
            raise folder_error(
                self.path,
                f"the trials of the search in {self.path} are in the database {storage}",
                f"take part in it again with: {join_command(self.path, str(storage))}",
            )
        if any((self.path / name).exists() for name in written):
            raise folder_error(
                self.journal,
                f"the journal {self.journal}, which has the trials of the search, is gone",
                "put the file back from a copy, or start a new search from the space",
            )

    def first_lost(self, trials: Sequence[FrozenTrial]) -> int | None:
        """The first trial that ended by `trials.csv`, but not in the journal, with these trials.

        The journal itself cannot show that it was truncated between two entries.
        """
        try:
            text = (self.path / TRIALS).read_text("utf-8")
            rows = [(row["trial"], row["state"]) for row in csv.DictReader(io.StringIO(text))]
        except (OSError, ValueError, KeyError, csv.Error):  # it is only a copy of the journal
            return None
        if [number for number, _ in rows] != [str(number) for number in range(len(rows))]:
            return None  # damaged
        ended = {trial.number for trial in trials if trial.state.is_finished()}
        end_states = {name for state, name in STATES.items() if state.is_finished()}
        lost = (n for n, (_, state) in enumerate(rows) if state in end_states and n not in ended)
        return next(lost, None)

    def require_trials(self, trials: Sequence[FrozenTrial], result: SearchResult) -> None:
        """Raise RunError (E502) unless the journal, with these trials, has those of the result."""
        states = [STATES[trial.state] for trial in trials]
        if {state: states.count(state) for state in states} != result.states:
            counted = ", ".join(f"{count} {state}" for state, count in result.states.items())
            raise folder_error(
                self.journal,
                f"the journal {self.journal} was cut off: it has other trials than result.json, "
                f"whose are {counted}",
                "put the file back from a copy; result.json, best.ktg and top are whole",
            )

    def result(self) -> SearchResult | None:
        """The result, or None while the search is not finished."""
        path = self.path / "result.json"
        try:
            return SearchResult.from_json(path.read_text("utf-8"), self.path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise folder_error(
                path,
                f"{path} cannot be read as the result of a search",
                "delete it to have it made again from the journal",
            ) from error

    def write_space(self, text: str) -> None:
        """Write the space as one file, and its digest to `environment.json`."""
        content = text.encode()
        write_file(self.path / "space.ktg", content)
        self.run.write_environment({**self.run.environment(), SPACE: sha256(content)})

    def write_graph(
        self,
        name: str,
        plan: Plan,
        trial: FrozenTrial,
        confirmed: Score | None = None,
        tied: Sequence[int] = (),
    ) -> Path:
        """Write the graph of a trial as a spec that can be run; returns the path.

        Args:
            name: of the file, relative to the folder.
            plan: of the space.
            trial: to write.
            confirmed: its score with further seeds, if any.
            tied: the numbers of other trials that are as good.
        """
        graph = graph_of_trial(plan, trial.params)
        path = self.path / name
        with reporting_write_errors(path):
            path.parent.mkdir(exist_ok=True)
        values = values_of(trial)
        epoch = max(values)
        assert plan.search is not None
        usual = plan.search.measured == f"accuracy of {plan.search.node}"
        what = "" if usual else f"{plan.search.measured} "
        split = f"{what}on the {plan.search.judged_on} split"
        comments = [
            f"{STATES[trial.state]}: {values[epoch]:.2f} % {split} "
            f"after epoch {epoch}" + " of its trial" * (confirmed is not None),
            f"trial {trial.number}, seed {attribute(trial, SEED)}",
            f"graph {attribute(trial, GRAPH)}",
            f"trained as {attribute(trial, DIGEST)}",
        ]
        if has_several_values(trial):
            goals = zip(goals_of(plan.search), trial.values, strict=True)
            values_text = ", ".join(f"{goal.measure} {goal.text(value)}" for goal, value in goals)
            comments.insert(1, f"on the front: {values_text}")
        if confirmed is not None:
            comments.insert(0, f"confirmed: {confirmed} {split}, further seeds")
        if tied:
            more = f" and {len(tied) - MAX_TIED} more" * (len(tied) > MAX_TIED)
            named = ", ".join(f"trial {number}" for number in tied[:MAX_TIED])
            comments.append(f"as good: {named}{more}")
        content = unparse_plan(graph, path.parent, comments).encode()
        self._note_graph(name, sha256(content))
        write_file(path, content)
        return path

    def _note_graph(self, name: str, digest: str) -> None:
        """Note the digest of a graph that is to be written, beside that of the file there now."""
        file = self.path / GRAPHS
        noted: dict[str, list[str]] = {}
        with suppress(OSError, ValueError):  # it is new, or damaged
            noted, _ = unsealed_json(file.read_text("utf-8"))
        kept = []
        with suppress(OSError):
            kept = [each for each in [sha256((self.path / name).read_bytes())] if each != digest]
        write_file(file, sealed_json({**noted, name: [*kept, digest]}).encode())

    def lost_files(self, specs: Sequence[str]) -> list[str]:
        """Which of these specs, and of the table of trials, are not there."""
        return [each for each in (*specs, TRIALS) if not (self.path / each).exists()]

    def write_trials(self, trials: Sequence[FrozenTrial], plan: Plan) -> None:
        """Replace `trials.csv`: a row per trial, with the value of each draw that has an effect."""
        assert plan.space is not None
        names = [draw.name for draw in plan.space.draws]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        goals = goals_of(plan.search) if plan.search else ()
        measures = [goal.measure for goal in goals]
        head = ["trial", "state", "epochs", "value", *measures, "seed", "graph"]
        table.writerow([*head, *names, "reason"])
        nested = NestedDraws(plan.space)
        for trial in trials:
            values = values_of(trial)
            epoch = max(values, default=0)
            value = f"{values[epoch]:.6g}" if epoch else ""
            own = [trial.number, STATES[trial.state], epoch, value]
            reached = trial.values if has_several_values(trial) else ()
            own += [f"{abs(each):.10g}" for each in reached] or [""] * len(goals)
            own += [attribute(trial, SEED), attribute(trial, GRAPH)]
            active = {*names}
            if nested:
                at = point(plan.space.draws, trial.params)
                active = {name for name in names if nested.is_active(name, at)}
            drawn = [trial.params[name] if name in active else "" for name in names]
            table.writerow([*own, *drawn, reason_of(trial)])
        write_file(self.path / TRIALS, text.getvalue().encode())

    def finish(self, result: SearchResult) -> None:
        """Write the result, which finishes the search, then delete the workers' files.

        Non-empty logs of workers stay, since reasons of failures name them.
        """
        write_file(self.path / "result.json", result.to_json().encode())
        for path in [*self.workers.iterdir()] if self.workers.is_dir() else []:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix != ".log" or not path.stat().st_size:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # raised unless it is empty
            self.workers.rmdir()


def open_search_folder(path: Path) -> SearchFolder:
    """The search folder at `path`. Raises RunError (E502) if there is none."""
    if not path.exists():
        raise folder_error(path, f"there is no folder {path}", "check the path")
    if not (path / "plan.json").is_file():
        message = f"{path} is not the folder of a search: it has no plan.json"
        raise folder_error(path, message, "name the folder that `ktgc search` wrote")
    if not is_search_folder(path):
        message = f"{path} is the folder of a run, not of a search"
        raise folder_error(path, message, f"go on with it by `ktgc run --resume {path}`")
    return SearchFolder(path)
