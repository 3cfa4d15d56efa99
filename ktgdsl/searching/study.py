"""The study of a search: an Optuna study in a journal, of which the owner is the only writer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from ktgdsl.searching.journal import Journal, quarantine
from ktgdsl.searching.sampling import DistinctSampler, ExhaustedError, Sample
from ktgdsl.training.run_files import reporting_write_errors

GRAPH, DIGEST, SEED, REASON = "graph", "digest", "seed", "reason"
CHECK, SECONDS, STOPPED = "check", "seconds", "stopped"
"""The attributes of trials and of the study: what was found beside parameters and values."""


class StoppableStudy(optuna.Study):
    """A study that notes when its sampler has nothing more, as Optuna's GridSampler says it."""

    def stop(self) -> None:
        """Have no further trial asked for."""
        self.set_user_attr(STOPPED, True)


class Study:
    """The trials of a search and what became of them, each written before it is acted upon.

    Every method writes all that it has to say at once, or nothing, and raises RunError (E502)
    when the journal cannot be written.

    Args:
        path: the journal; a new one is made if need be.
        name: of the study in it.
        sampler: draws the trials; needed to ask for one.
        pruner: is asked after every epoch but the last; by default it ends nobody.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        sampler: DistinctSampler | None = None,
        pruner: BasePruner | None = None,
    ) -> None:
        self.path = path.absolute()
        self._name = name
        self._sampler = sampler
        self._pruner = pruner
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Of an owner that was killed; the folder's own lock says that nobody else is at work.
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)
        self._load()
        if sampler is not None:
            for trial in self.trials:
                sampler.remember(trial.params, attribute(trial, GRAPH))

    def _load(self) -> None:
        """Open the journal, a new one if need be."""
        quarantine(self.path)
        with reporting_write_errors(self.path):
            self._journal = Journal(self.path)
            storage = JournalStorage(self._journal)
            if not storage.get_all_studies():
                optuna.create_study(study_name=self._name, storage=storage, direction="maximize")
        self.optuna = StoppableStudy(
            self._name, storage, self._sampler or RandomSampler(seed=0), self._pruner or NopPruner()
        )

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Write what a `with` block notes, all of it or nothing."""
        try:
            with reporting_write_errors(self.path), self._journal.group():
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
            trial = self.optuna.ask(sampler.distributions)
            # Optuna has not asked for a point yet where every draw has one value alone.
            assert trial.relative_params
            sample = sampler.sample
            assert sample is not None
            trial.set_user_attr(GRAPH, sample.plan.canonical_digest)
            trial.set_user_attr(DIGEST, sample.plan.digest)
            trial.set_user_attr(SEED, seed)
        sampler.remember(sample.params, sample.plan.canonical_digest)
        return sample

    def report(self, number: int, epoch: int, value: float, *, last: bool) -> TrialState:
        """Note the value of a trial after an epoch, and what becomes of it.

        It is complete after its last epoch; before, the pruner says whether it goes on.
        """
        with self._written():
            trial = self._trial(number)
            trial.report(value, epoch)
            if last:
                self.optuna.tell(trial, value)
                return TrialState.COMPLETE
            if trial.should_prune():
                self.optuna.tell(trial, state=TrialState.PRUNED)
                return TrialState.PRUNED
            return TrialState.RUNNING

    def fail(self, number: int, reason: str) -> None:
        """End a trial that gives no value."""
        with self._written():
            trial = self._trial(number)
            trial.set_user_attr(REASON, reason)
            self.optuna.tell(trial, state=TrialState.FAIL)

    def _trial(self, number: int) -> Trial:
        # Optuna's ids of trials are those of the storage, whose only study this is.
        return Trial(self.optuna, number)

    @property
    def checks(self) -> dict[str, float | str]:
        """The values of trainings beside the trials, by name and seed; or why there is none."""
        attrs = self.optuna.user_attrs
        return {k[len(CHECK) + 1 :]: v for k, v in attrs.items() if k.startswith(f"{CHECK} ")}

    @property
    def seconds(self) -> float:
        """How long the search has taken so far."""
        return float(self.optuna.user_attrs.get(SECONDS, 0.0))

    def note_seconds(self, seconds: float) -> None:
        """Keep how long the search has taken."""
        with self._written():
            self.optuna.set_user_attr(SECONDS, seconds)

    def note_check(self, key: str, value: float | str) -> None:
        """Keep the value of a training beside the trials, or why it has none."""
        with self._written():
            self.optuna.set_user_attr(f"{CHECK} {key}", value)


def values_of(trial: FrozenTrial) -> dict[int, float]:
    """The values of a trial by epoch, in order."""
    return dict(sorted(trial.intermediate_values.items()))


def attribute(trial: FrozenTrial, name: str) -> Any:
    """What was noted of a trial when it was asked, or when it failed."""
    return trial.user_attrs.get(name)
