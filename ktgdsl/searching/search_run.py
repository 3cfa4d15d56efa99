"""The run of a search, new or resumed: trials, checks, and the result."""

import os
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError, warn
from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.searching.build_result import build_result
from ktgdsl.searching.checks import (
    Check,
    baselines,
    check_seeds,
    confirmations,
    leaders,
)
from ktgdsl.searching.coordinator import Coordinator
from ktgdsl.searching.engines import SearchEngine, ThisMachine
from ktgdsl.searching.estimate import FINALISTS
from ktgdsl.searching.events import (
    EarlierTrial,
    Event,
    Listener,
    SearchFinished,
    SearchStarted,
    TrialEnded,
)
from ktgdsl.searching.folder import STATES, SearchFolder
from ktgdsl.searching.kept_trials import keep_networks
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.rungs import rungs
from ktgdsl.searching.study.pruning import pruner_of
from ktgdsl.searching.study.sampling import DistinctSampler
from ktgdsl.searching.study.study import (
    Study,
    attribute,
    values_of,
)
from ktgdsl.searching.study.trial_plans import graph_of_trial
from ktgdsl.searching.workers.pool import Pool
from ktgdsl.searching.workers.threads import threads_per_worker
from ktgdsl.space.size import size
from ktgdsl.training.resume_checks import changed_code_notes, last_recorded
from ktgdsl.training.resume_notes import damaged_copies
from ktgdsl.training.run_files import folder_error, reporting_write_errors

TABLE_SECONDS = 30.0
"""The least time between two writes of trials.csv during a search."""

TABLE_SHARE = 0.01
"""The largest fraction of the coordinator's time for writing trials.csv, which grows."""


class SearchOutcome(NamedTuple):
    """What `search` returns: the Optuna study, the plan of the best graph, and the result."""

    study: optuna.Study
    best: Plan
    result: SearchResult

    def __fspath__(self) -> str:
        """The folder, so that an outcome can be passed as a path."""
        return os.fspath(self.result)

    def __repr__(self) -> str:
        return f"<SearchOutcome {self.result!r}, best {self.best!r}>"


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search. Its message says which trials are stored, where, and how to resume.

    Args:
        folder: of the search.
        done: the number of trials that have ended.
        trials: the number of trials of the whole search.
        where: the place in words, by default the folder.
        how: the way to resume in words, by default the command.
    """

    def __init__(
        self, folder: Path, done: int, trials: int, where: str = "", how: str = ""
    ) -> None:
        self.folder, self.done, self.trials = folder, done, trials
        where = where or f"in {folder}"
        how = how or f"go on with: ktgc search --resume {shlex.quote(str(folder))}"
        super().__init__(f"interrupted; {done} of {trials} trials are over and kept {where}, {how}")


class SearchRun:
    """The run of a search, new or resumed from its folder.

    Args:
        plan: the space.
        folder: of the search.
        listener: is called with every event.
        sampler: the caller's, instead of the one that the space names.
        pruner: the caller's, instead of the one that the space names.
        engine: starts the workers, by default on this machine.
    """

    def __init__(
        self,
        plan: Plan,
        folder: SearchFolder,
        listener: Listener,
        sampler: BaseSampler | None = None,
        pruner: BasePruner | None = None,
        engine: SearchEngine | None = None,
    ) -> None:
        assert plan.search is not None
        self.plan, self.folder, self.listener = plan, folder, listener
        self.engine = engine or ThisMachine()
        self.settings = plan.search
        self.rungs = rungs(plan.search) if pruner is None else ()
        self.result = folder.result()
        self.study = self._open_study(sampler, pruner)
        self._table_due = time.monotonic() + TABLE_SECONDS
        self._problems: dict[Diagnostic, None] = {}
        """The distinct diagnostics of failed trials; a dict keeps their order."""

    def _open_study(self, sampler: BaseSampler | None, pruner: BasePruner | None) -> Study:
        return Study(
            self.folder.journal,
            self.plan.graph.name,
            DistinctSampler(self.plan, sampler, size(self.plan).distinct)
            if self.result is None
            else None,
            pruner or pruner_of(self.settings),
            [str(each) for each in goals_of(self.settings)],
        )

    def run(self) -> SearchOutcome:
        """Train the missing trials and checks, and write the result."""
        if self.result is not None:
            self.folder.require_trials(self.study.trials, self.result)
            self._restore(self.result)
            self.listener(SearchFinished(self.plan, self.result, already=True))
            return self._outcome(self.result)
        environment = self.folder.run.environment()
        devices = [str(each) for each in environment.get("devices", ["cpu"])]
        workers = int(environment.get("workers", 1))
        threads = environment.get("threads") or threads_per_worker(workers)
        deterministic = environment.get("deterministic") is True
        began = time.monotonic() - self.study.seconds
        notes = *self._notes(environment), *self.engine.notes(workers, devices, threads)
        self.listener(self._started(workers, notes))
        limit = (self.settings.timeout or float("inf")) * 3600
        coordinator = self._coordinator(lambda: time.monotonic() - began >= limit)
        try:
            with reporting_write_errors(self.folder.workers):
                pool = Pool(
                    workers,
                    devices,
                    self.folder.workers,
                    threads=threads,
                    deterministic=deterministic,
                    engine=self.engine,
                    code=self._code(environment),
                )
            self._keep_networks()
            with pool:
                coordinator.trials(pool)
                finalists = leaders(self.study.trials)
                if not finalists:
                    raise self._no_value_error()
                coordinator.checks(pool, self._checks(finalists))
        except KeyboardInterrupt:
            done = sum(trial.state.is_finished() for trial in self.study.trials)
            raise self._interrupted(done) from None
        finally:
            with suppress(RunError):  # the disk may be full; the journal has all trials
                self.study.set_seconds(time.monotonic() - began)
                self.folder.write_trials(self.study.trials, self.plan)
        self.study = study = self._finished_study()
        exhausted = coordinator.exhausted
        result = build_result(
            self.plan, self.folder, study, finalists, study.seconds, exhausted=exhausted
        )
        self.folder.finish(result)
        self.listener(SearchFinished(self.plan, result))
        return self._outcome(result)

    def _restore(self, result: SearchResult) -> None:
        """Write again what a finished search has lost and its journal has; warn of it (W310)."""
        specs = [each.spec for each in result.finalists] + [each.spec for each in result.front]
        lost = self.folder.lost_files(["best.ktg", *dict.fromkeys(specs)])
        if not lost:
            return
        study = self.study
        finalists = leaders(study.trials)
        build_result(
            self.plan, self.folder, study, finalists, result.seconds, exhausted=result.exhausted
        )
        self.folder.write_trials(study.trials, self.plan)
        message = f"{', '.join(lost)} of {self.folder.path} had been lost"
        warn("W310", message, help="the journal had all trials: they are written again")

    def _coordinator(self, time_is_up: Callable[[], bool]) -> Coordinator:
        """The coordinator; a shared search has another."""
        return Coordinator(self.plan, self.study, self._on_event, self._write_best, time_is_up)

    def _finished_study(self) -> Study:
        """The study in the folder's journal, after all trials and checks."""
        return self.study

    def _interrupted(self, done: int) -> SearchInterrupted:
        return SearchInterrupted(self.folder.path, done, self.settings.trials)

    def _notes(self, environment: Mapping[str, Any]) -> tuple[str, ...]:
        """One sentence for each damaged or lost file in the folder and each change of code."""
        copies = damaged_copies(self.folder.run, environment)
        notes = changed_code_notes(self.folder.run, environment)
        notes += [f"{each}; the search does not need it" for each in copies]
        if self.study.torn is not None:
            notes.append(
                f"the end of {self.folder.journal} was not written whole: it is cut off, and kept "
                f"in {self.study.torn.name}"
            )
        elif (lost := self.folder.first_lost(self.study.trials)) is not None:
            notes.append(
                f"{self.folder.journal} was cut off: it lacks the end of trial {lost}, which "
                "trials.csv has; what is missing is trained again"
            )
        return tuple(notes)

    def _code(self, environment: Mapping[str, Any]) -> dict[str, str]:
        """The SHA-256 of the user's files in their last accepted version, by path."""
        files = last_recorded(environment, "code") if "code" in environment else {}
        return {each["path"]: each["sha256"] for each in files.values()}

    def _started(self, workers: int, notes: tuple[str, ...]) -> SearchStarted:
        settings = self.settings
        return SearchStarted(
            self.plan,
            self.folder.path,
            workers,
            self.rungs,
            settings.epochs,
            settings.trials,
            [EarlierTrial(STATES[trial.state], values_of(trial)) for trial in self.study.trials],
            notes,
        )

    def _write_best(self, trial: FrozenTrial) -> None:
        self.folder.write_graph("best.ktg", self.plan, trial)

    def _checks(self, finalists: list[FrozenTrial]) -> list[Check]:
        of_baselines = [
            Check(name, plan, seed)
            for name, plan in baselines(self.plan, finalists[0]).items()
            for seed in check_seeds(self.plan)
        ]
        return [*confirmations(self.plan, finalists), *of_baselines]

    def _no_value_error(self) -> RunError:
        reasons = [str(attribute(t, "reason")) for t in self.study.trials if attribute(t, "reason")]
        message = f"none of {len(self.study.trials)} trials gave a value, so there is no best graph"
        last = f"the last one: {reasons[-1]}" if reasons and not self._problems else None
        return RunError([Diagnostic("E507", message, help=last), *self._problems])

    def _on_event(self, event: Event) -> None:
        """Update the files of the folder, and pass the event to the listener."""
        start = time.monotonic()
        if isinstance(event, TrialEnded):
            self._problems.update(dict.fromkeys(event.problems))
            if event.state == "complete":
                self._keep_networks()
        if isinstance(event, TrialEnded) and start >= self._table_due:
            self.folder.write_trials(self.study.trials, self.plan)
            end = time.monotonic()
            self._table_due = end + max(TABLE_SECONDS, (end - start) / TABLE_SHARE)
        self.listener(event)

    def _keep_networks(self) -> None:
        """Keep the networks of all trials that may be among the `keep` best at the end."""
        if (count := self.settings.keep) > 0:
            count = max(count, FINALISTS) if self.settings.confirm else count
            trials = self.study.trials
            if self.settings.goals:  # any trial that is on the front now may be kept at the end
                count = len(trials)
            keep_networks(self.plan, self.folder, trials, leaders(trials, count))

    def _outcome(self, result: SearchResult) -> SearchOutcome:
        trials = self.study.trials
        if result.best.trial >= len(trials):
            path = self.folder.path / "result.json"
            message = f"{path} is of another search: its best trial is not in the journal"
            raise folder_error(path, message, "delete it to have it made again from the journal")
        trial = trials[result.best.trial]
        best = graph_of_trial(self.plan, trial.params)
        return SearchOutcome(self.study.optuna, best, result)
