"""The study of a search: an Optuna study in a journal, of which the owner is the only writer."""

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from ktgdsl.searching.points import Picked
from ktgdsl.training.run_files import folder_error, reporting_write_errors, write_file

GRAPH, DIGEST, SEED, REASON = "graph", "digest", "seed", "reason"
CHECK, SECONDS = "check", "seconds"
"""The attributes of trials and of the study: what was found beside parameters and values."""


class Study:
    """The trials of a search and what became of them, each written before it is acted upon.

    Every method raises RunError (E502) when the journal cannot be written.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path.absolute()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        quarantine(self.path)
        # Of an owner that was killed; the folder's own lock says that nobody else is at work.
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)
        with reporting_write_errors(self.path):
            lock = JournalFileOpenLock(str(self.path))
            self._storage = JournalStorage(JournalFileBackend(str(self.path), lock_obj=lock))
            # The owner draws and ends trials itself (`Picker`, `Ladder`).
            self.optuna = optuna.create_study(
                study_name=name,
                storage=self._storage,
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(seed=0),
                pruner=optuna.pruners.NopPruner(),
                load_if_exists=True,
            )

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
        with reporting_write_errors(self.path):
            self.optuna.add_trial(trial)

    def report(self, number: int, epoch: int, value: float) -> None:
        """Note the value of a trial after an epoch."""
        with reporting_write_errors(self.path):
            self._trial(number).report(value, epoch)

    def tell(self, number: int, state: TrialState, value: float | None, reason: str = "") -> None:
        """End a trial; `value` is None unless it is complete."""
        with reporting_write_errors(self.path):
            if reason:
                self._trial(number).set_user_attr(REASON, reason)
            self.optuna.tell(number, value, state=state)

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
        with reporting_write_errors(self.path):
            self.optuna.set_user_attr(SECONDS, seconds)

    def note_check(self, key: str, value: float | str) -> None:
        """Keep the value of a training beside the trials, or why it has none."""
        with reporting_write_errors(self.path):
            self.optuna.set_user_attr(f"{CHECK} {key}", value)


def quarantine(path: Path) -> Path | None:
    """Cut an unfinished last entry off a journal, into a file beside it, which is returned.

    A kill or a full disk may tear the entry that is being written; none before it is touched.
    Raises RunError (E502) when an entry before the last cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    whole = 0
    torn = b""
    for line in content.splitlines(keepends=True):
        if torn and _is_entry(line):
            raise folder_error(
                path,
                f"the journal {path} is damaged before its end",
                "put the file back from a copy, or start a new search",
            )
        if torn or not _is_entry(line):
            torn += line
        else:
            whole += len(line)
    if not torn:
        return None
    names = (path.with_name(f"{path.name}.torn-{n}") for n in count(1))
    aside = next(each for each in names if not each.exists())
    write_file(aside, torn)
    write_file(path, content[:whole])
    return aside


def _is_entry(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def values_of(trial: FrozenTrial) -> dict[int, float]:
    """The values of a trial by epoch, in order."""
    return dict(sorted(trial.intermediate_values.items()))


def attribute(trial: FrozenTrial, name: str) -> Any:
    """What was noted of a trial when it was asked, or when it failed."""
    return trial.user_attrs.get(name)
