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

from ktgdsl.searching.study.journal import Journal, quarantine
from ktgdsl.searching.study.pruning import PRUNED
from ktgdsl.searching.study.sampling import DistinctSampler, ExhaustedError, Sample
from ktgdsl.searching.study.standing import Standing
from ktgdsl.training.run_files import folder_error, reporting_write_errors

GRAPH, DIGEST, SEED, REASON = "graph", "digest", "seed", "reason"
CHECK, SECONDS, STOPPED, TEACHERS = "check", "seconds", "stopped", "teachers"
"""Names of user attributes, of trials and of the study."""


class StoppableStudy(optuna.Study):
    """A study that its sampler can stop, and that ignores enqueued trials."""

    def stop(self) -> None:
        """Sample no further trial. Optuna's GridSampler calls this when its grid is exhausted."""
        self.set_user_attr(STOPPED, True)

    def _pop_waiting_trial_id(self) -> None:
        """None: an enqueued trial would bypass the sampler, and finding one reads all trials."""


class Study:
    """The trials of a search in an Optuna study, with its sampler and pruner.

    Each method that changes the study is atomic, and raises RunError (E502) when the journal
    cannot be written.

    Args:
        path: the journal, created if it does not exist.
        name: of the study in it.
        sampler: samples the points of trials; `ask` needs it.
        pruner: decides after every epoch but the last; by default no trial is pruned.
        objectives: their names if there are several. All are maximised, and no trial is pruned.
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
        # Left by a killed coordinator: the lock of the folder excludes other processes.
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
        """Open the journal, creating it if it does not exist."""
        self.torn = quarantine(self.path)
        with reporting_write_errors(self.path):
            self._journal = Journal(self.path)
            storage = JournalStorage(self._journal)
            if not storage.get_all_studies():
                self._create(storage)
        self.optuna = StoppableStudy(
            self._name, storage, self._sampler or RandomSampler(seed=0), self._pruner or NopPruner()
        )
        self._trial_count = len(self.trials)

    def _create(self, storage: BaseStorage) -> None:
        directions = [StudyDirection.MAXIMIZE] * max(1, len(self._objectives))
        study = optuna.create_study(study_name=self._name, storage=storage, directions=directions)
        if self._objectives:
            # The names are for other programs only, so it does not matter if the API changes.
            with warnings.catch_warnings():
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
        """A study in a new journal at `path` with copies of these trials and attributes."""
        path.unlink(missing_ok=True)
        study = cls(path, name, objectives=objectives)
        with study._written():
            study.optuna.add_trials(trials)
            for each, value in attributes.items():
                study.optuna.set_user_attr(each, value)
        return study

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Write the changes of a `with` block atomically."""
        with self.batched_writes(), self._journal.group():
            yield

    @contextmanager
    def batched_writes(self) -> Iterator[None]:
        """Write the changes of all methods that a `with` block calls in one write at its end.

        If a method raises, the changes of the methods before it are written.
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
        """Sample the next trial, whose random streams have that seed, and store it as running.

        Raises ExhaustedError, and stores nothing, when no point is left.
        """
        sampler = self._sampler
        assert sampler is not None
        if sampler.exhausted or self.optuna.user_attrs.get(STOPPED):
            raise ExhaustedError
        with self._written():
            if sampler.needs_trial:
                sample, _ = self._ask_optuna(sampler, seed)
            else:
                sample = sampler.propose(self.optuna, self._trial_count)
                attributes = attributes_of(sample, seed)
                # One journal entry; Optuna's `ask` would write another one for each parameter.
                self.optuna.add_trial(
                    create_trial(
                        state=TrialState.RUNNING,
                        params=sample.params,
                        distributions=sampler.distributions,
                        user_attrs=attributes,
                    )
                )
        self._trial_count += 1
        sampler.remember(sample.params, sample.plan.canonical_digest)
        return sample

    def _ask_optuna(self, sampler: DistinctSampler, seed: int) -> tuple[Sample, int]:
        """Have Optuna create a trial and sample it; returns the sample and Optuna's trial id."""
        trial = self.optuna.ask(sampler.distributions)
        # Reading them samples now: Optuna delays that if every draw has a single value.
        assert trial.relative_params
        sample = sampler.sample
        assert sample is not None
        for name, value in attributes_of(sample, seed).items():
            trial.set_user_attr(name, value)
        return sample, trial._trial_id

    def report(
        self, number: int, epoch: int, value: float, *, last: bool, values: Sequence[float] = ()
    ) -> TrialState:
        """Store the value of a trial after an epoch; returns the new state of the trial.

        It is complete after the `last` epoch, with the `values` of several objectives if there are
        any. After an earlier epoch the pruner decides.
        """
        with self._written():
            trial = self._trial(number)
            if self._objectives:  # Optuna's `report` and `should_prune` support only one objective
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
        """The rank of a pruned trial; None for other trials, and for other pruners than asha."""
        return _standing(self._trial(number).user_attrs)

    def fail(self, number: int, reason: str) -> None:
        """Mark a trial as failed, for that reason."""
        with self._written():
            trial = self._trial(number)
            trial.set_user_attr(REASON, reason)
            self.optuna.tell(trial, state=TrialState.FAIL)

    def _trial(self, number: int) -> Trial:
        # A trial's number (in its study) and id (in its storage) are equal: there is one study.
        return Trial(self.optuna, number)

    @property
    def _attributes(self) -> dict[str, Any]:
        return self.optuna.user_attrs

    @property
    def checks(self) -> dict[str, float | str]:
        """The value of each check by `Check.key`, or the reason why it has none."""
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
        """Write the value of a check, or the reason why it has none."""
        with self._written():
            self.optuna.set_user_attr(f"{CHECK} {key}", value)

    @property
    def teachers(self) -> list[dict[str, Any]]:
        """The distinct pre-trained nodes, with network and accuracy."""
        return list(self._attributes.get(TEACHERS, []))

    def add_teacher(self, teacher: Mapping[str, Any]) -> bool:
        """Write a pre-trained node; returns False, and writes nothing, if it is there already."""
        stored = self.teachers
        keys = ("node", "network", "accuracy")
        if any(all(each[key] == teacher[key] for key in keys) for each in stored):
            return False
        with self._written():
            self.optuna.set_user_attr(TEACHERS, [*stored, dict(teacher)])
        return True


def attributes_of(sample: Sample, seed: int) -> dict[str, Any]:
    """The user attributes of a new trial: the digests of its graph and plan, and its seed."""
    plan = sample.plan
    return {GRAPH: plan.canonical_digest, DIGEST: plan.digest, SEED: seed}


def values_of(trial: FrozenTrial) -> dict[int, float]:
    """The values of a trial by epoch, in the order of epochs."""
    return dict(sorted(trial.intermediate_values.items()))


def standing_of(trial: FrozenTrial) -> Standing | None:
    """As `Study.standing`; also None for trials that an older version pruned."""
    return _standing(trial.user_attrs)


def _standing(attributes: Mapping[str, Any]) -> Standing | None:
    facts = attributes.get(PRUNED)
    return None if facts is None else Standing.model_validate(facts)


def reason_of(trial: FrozenTrial) -> str:
    """Why a trial failed or was pruned; "" for other trials and unknown reasons."""
    return str(attribute(trial, REASON) or standing_of(trial) or "")


def attribute(trial: FrozenTrial, name: str) -> Any:
    """A user attribute of a trial, or None."""
    return trial.user_attrs.get(name)
