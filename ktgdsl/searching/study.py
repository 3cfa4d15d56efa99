"""The Optuna study of a search, in a journal that the coordinator alone writes."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from ktgdsl.searching.journal import Journal, quarantine
from ktgdsl.searching.pruning import PRUNED
from ktgdsl.searching.sampling import DistinctSampler, ExhaustedError, Sample
from ktgdsl.searching.standing import Standing
from ktgdsl.training.run_files import folder_error, reporting_write_errors

GRAPH, DIGEST, SEED, REASON = "graph", "digest", "seed", "reason"
CHECK, SECONDS, STOPPED, TEACHERS = "check", "seconds", "stopped", "teachers"
"""Names of user attributes, of trials and of the study."""


class StoppableStudy(optuna.Study):
    """A study whose sampler alone says what is tried, and when there is nothing more."""

    def stop(self) -> None:
        """Have no further trial asked for, as Optuna's GridSampler does at its end."""
        self.set_user_attr(STOPPED, True)

    def _pop_waiting_trial_id(self) -> None:
        """No queued trial: `ask` would go through all trials for one, and pass the sampler by."""


class Study:
    """The trials of a search in an Optuna study, whose sampler and pruner decide.

    A method that changes the study writes all of the change or nothing, and raises RunError
    (E502) when the journal cannot be written.

    Args:
        path: the journal; a new one is made if need be.
        name: of the study in it.
        sampler: draws the points of trials; needed to ask for one.
        pruner: is asked after every epoch but the last; by default it ends nobody.
        objectives: their names where there are several. All are maximised, and nobody is pruned.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        sampler: DistinctSampler | None = None,
        pruner: BasePruner | None = None,
        objectives: Sequence[str] = (),
    ) -> None:
        self._objectives = tuple(objectives)
        self.path = path.absolute()
        self._name = name
        self._sampler = sampler
        self._pruner = pruner
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Left by a coordinator that was killed; the folder's own lock keeps others away.
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)
        self._load()
        for trial in self.trials:
            if GRAPH not in trial.user_attrs:
                raise folder_error(
                    self.path,
                    f"trial {trial.number} in {self.path} is another program's: the search has "
                    "not begun it",
                    "put the file back from a copy, or start a new search",
                )
            if sampler is not None:
                sampler.remember(trial.params, attribute(trial, GRAPH))

    def _load(self) -> None:
        """Open the journal, a new one if need be."""
        self.torn = quarantine(self.path)
        with reporting_write_errors(self.path):
            self._journal = Journal(self.path)
            storage = JournalStorage(self._journal)
            if not storage.get_all_studies():
                self._create(storage)
        self.optuna = StoppableStudy(
            self._name, storage, self._sampler or RandomSampler(seed=0), self._pruner or NopPruner()
        )
        self._asked = len(self.trials)

    def _create(self, storage: BaseStorage) -> None:
        directions = [StudyDirection.MAXIMIZE] * max(1, len(self._objectives))
        study = optuna.create_study(study_name=self._name, storage=storage, directions=directions)
        if self._objectives:
            with warnings.catch_warnings():  # which may change, and is for other programs
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names([*self._objectives])

    @classmethod
    def copied(
        cls,
        path: Path,
        name: str,
        objectives: Sequence[str],
        trials: Sequence[FrozenTrial],
        attributes: Mapping[str, Any],
    ) -> "Study":
        """A study in a new journal at `path`, with these trials and attributes."""
        path.unlink(missing_ok=True)
        study = cls(path, name, objectives=objectives)
        with study._written():
            study.optuna.add_trials(trials)
            for each, value in attributes.items():
                study.optuna.set_user_attr(each, value)
        return study

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Write the changes of a `with` block, all or none of them."""
        with self.batched_writes(), self._journal.group():
            yield

    @contextmanager
    def batched_writes(self) -> Iterator[None]:
        """Write the changes of the methods that a `with` block calls at its end, all at once.

        If a method raises, which ends the block, those of the methods before it are written.
        """
        if self._journal.is_grouping:
            yield
            return
        try:
            with reporting_write_errors(self.path), self._journal.together():
                yield
        except BaseException:
            self._load()  # Optuna's memory is ahead of the journal
            raise

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers."""
        return self.optuna.get_trials(deepcopy=False)

    def ask(self, seed: int) -> Sample:
        """Begin the next trial, whose random streams have that seed: its point, and its plan.

        Raises ExhaustedError, and begins none, when no point is left.
        """
        sampler = self._sampler
        assert sampler is not None
        if sampler.exhausted or self.optuna.user_attrs.get(STOPPED):
            raise ExhaustedError
        with self._written():
            if sampler.needs_trial:
                sample, _ = self._ask_optuna(sampler, seed)
            else:
                sample = sampler.propose(self.optuna, self._asked)
                attributes = attributes_of(sample, seed)
                # One entry of the journal: Optuna's own `ask` writes one for each parameter, too.
                self.optuna.add_trial(
                    create_trial(
                        state=TrialState.RUNNING,
                        params=sample.params,
                        distributions=sampler.distributions,
                        user_attrs=attributes,
                    )
                )
        self._asked += 1
        sampler.remember(sample.params, sample.plan.canonical_digest)
        return sample

    def _ask_optuna(self, sampler: DistinctSampler, seed: int) -> tuple[Sample, int]:
        """Begin a trial that is there before its point is: its sample, and Optuna's id."""
        trial = self.optuna.ask(sampler.distributions)
        # Optuna has not asked for a point yet where every draw has one value alone.
        assert trial.relative_params
        sample = sampler.sample
        assert sample is not None
        for name, value in attributes_of(sample, seed).items():
            trial.set_user_attr(name, value)
        return sample, trial._trial_id

    def report(
        self, number: int, epoch: int, value: float, *, last: bool, values: Sequence[float] = ()
    ) -> TrialState:
        """Report the value of a trial after an epoch; the state of the trial then.

        It is complete after its last epoch, with the `values` of several objectives if there are
        some; before, the pruner decides whether it continues.
        """
        with self._written():
            trial = self._trial(number)
            if self._objectives:  # Optuna's own `report` and `should_prune` are for a single one
                self.optuna._storage.set_trial_intermediate_value(trial._trial_id, epoch, value)
            else:
                trial.report(value, epoch)
            if last:
                self.optuna.tell(trial, list(values) or value)
                return TrialState.COMPLETE
            if not self._objectives and trial.should_prune():
                self.optuna.tell(trial, state=TrialState.PRUNED)
                return TrialState.PRUNED
            return TrialState.RUNNING

    def standing(self, number: int) -> Standing | None:
        """Where a trial stood when it was pruned; None of others, and where another rule did it."""
        return _standing(self._trial(number).user_attrs)

    def fail(self, number: int, reason: str) -> None:
        """End a trial that gives no value, for that reason."""
        with self._written():
            trial = self._trial(number)
            trial.set_user_attr(REASON, reason)
            self.optuna.tell(trial, state=TrialState.FAIL)

    def _trial(self, number: int) -> Trial:
        # Optuna numbers trials within a study and has ids for all of a storage: here the same.
        return Trial(self.optuna, number)

    @property
    def _attributes(self) -> dict[str, Any]:
        return self.optuna.user_attrs

    @property
    def checks(self) -> dict[str, float | str]:
        """The values of checks by `Check.key`, or the reason why there is none."""
        attrs = self._attributes
        return {k[len(CHECK) + 1 :]: v for k, v in attrs.items() if k.startswith(f"{CHECK} ")}

    @property
    def seconds(self) -> float:
        """The seconds that the search has taken so far."""
        return float(self._attributes.get(SECONDS, 0.0))

    def set_seconds(self, seconds: float) -> None:
        """Write the seconds that the search has taken so far."""
        with self._written():
            self.optuna.set_user_attr(SECONDS, seconds)

    def set_check(self, key: str, value: float | str) -> None:
        """Write the value of a check, or the reason why there is none."""
        with self._written():
            self.optuna.set_user_attr(f"{CHECK} {key}", value)

    @property
    def teachers(self) -> list[dict[str, Any]]:
        """What was pre-trained: nodes, their networks and accuracies, each once."""
        return list(self._attributes.get(TEACHERS, []))

    def add_teacher(self, teacher: Mapping[str, Any]) -> bool:
        """Write what was pre-trained, unless it is known; whether it was not."""
        known = self.teachers
        facts = ("node", "network", "accuracy")
        if any(all(each[fact] == teacher[fact] for fact in facts) for each in known):
            return False
        with self._written():
            self.optuna.set_user_attr(TEACHERS, [*known, dict(teacher)])
        return True


def attributes_of(sample: Sample, seed: int) -> dict[str, Any]:
    """The user attributes of a trial that begins: its graph, its digest and its seed."""
    plan = sample.plan
    return {GRAPH: plan.canonical_digest, DIGEST: plan.digest, SEED: seed}


def values_of(trial: FrozenTrial) -> dict[int, float]:
    """The values of a trial by epoch, in order."""
    return dict(sorted(trial.intermediate_values.items()))


def standing_of(trial: FrozenTrial) -> Standing | None:
    """As `Study.standing`; None of trials that an older version has pruned, too."""
    return _standing(trial.user_attrs)


def _standing(attributes: Mapping[str, Any]) -> Standing | None:
    facts = attributes.get(PRUNED)
    return None if facts is None else Standing.model_validate(facts)


def reason_of(trial: FrozenTrial) -> str:
    """Why a trial failed or was pruned; nothing of others, or where nobody knows."""
    return str(attribute(trial, REASON) or standing_of(trial) or "")


def attribute(trial: FrozenTrial, name: str) -> Any:
    """A user attribute of a trial, or None."""
    return trial.user_attrs.get(name)
