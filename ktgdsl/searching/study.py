"""The study of a search: an Optuna study in a journal, of which the owner is the only writer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from ktgdsl.searching.journal import Journal, quarantine
from ktgdsl.searching.points import Picked
from ktgdsl.training.run_files import reporting_write_errors

GRAPH, DIGEST, SEED, REASON = "graph", "digest", "seed", "reason"
CHECK, SECONDS = "check", "seconds"
"""The attributes of trials and of the study: what was found beside parameters and values."""


class Study:
    """The trials of a search and what became of them, each written before it is acted upon.

    Every method writes all that it has to say at once, or nothing, and raises RunError (E502)
    when the journal cannot be written. `pruner` is asked after every epoch but the last.
    """

    def __init__(self, path: Path, name: str, pruner: BasePruner | None = None) -> None:
        self.path = path.absolute()
        self._name = name
        self._pruner = pruner or NopPruner()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Of an owner that was killed; the folder's own lock says that nobody else is at work.
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)
        self._load()

    def _load(self) -> None:
        """Open the journal, a new one if need be."""
        quarantine(self.path)
        with reporting_write_errors(self.path):
            self._journal = Journal(self.path)
            storage = JournalStorage(self._journal)
            made = [study.study_name for study in storage.get_all_studies()]
            self.optuna = (optuna.load_study if self._name in made else _create)(
                study_name=self._name,
                storage=storage,
                sampler=RandomSampler(seed=0),
                pruner=self._pruner,
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

    def ask(
        self, number: int, picked: Picked, distributions: Mapping[str, BaseDistribution], seed: int
    ) -> None:
        """Add trial `number`, running: all about it is one entry of the journal."""
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=picked.params,
            distributions=dict(distributions),
            user_attrs={
                GRAPH: picked.plan.canonical_digest,
                DIGEST: picked.plan.digest,
                SEED: seed,
            },
        )
        with self._written():
            self.optuna.add_trial(trial)

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


def _create(**settings: Any) -> optuna.Study:
    return optuna.create_study(direction="maximize", **settings)


def values_of(trial: FrozenTrial) -> dict[int, float]:
    """The values of a trial by epoch, in order."""
    return dict(sorted(trial.intermediate_values.items()))


def attribute(trial: FrozenTrial, name: str) -> Any:
    """What was noted of a trial when it was asked, or when it failed."""
    return trial.user_attrs.get(name)
