"""The Optuna study of a search that several processes share, in a PostgreSQL database."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy import Connection

from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.searching.shared.claims import MAX_ATTEMPTS, TABLES, Claim, Claims
from ktgdsl.searching.shared.database import Database, DatabaseError
from ktgdsl.searching.shared.participation import participating
from ktgdsl.searching.shared.queued_trials import queued_sample
from ktgdsl.searching.shared.retries import Retries, database_unusable
from ktgdsl.searching.shared.shared_identity import IDENTITY, STARTED, create_or_join, database_time
from ktgdsl.searching.shared.shared_trials import (
    NUMBER,
    ClaimedTrial,
    ClaimLostError,
    lost_reason,
    renumbered,
    restart_trial,
)
from ktgdsl.searching.study.pruning import LOST, pruner_of
from ktgdsl.searching.study.sampling import DistinctSampler, ExhaustedError
from ktgdsl.searching.study.standing import Standing
from ktgdsl.searching.study.study import (
    GRAPH,
    SECONDS,
    SEED,
    STOPPED,
    StoppableStudy,
    Study,
    attribute,
    attributes_of,
    standing_of,
)
from ktgdsl.searching.study.trial_plans import trial_plan, trial_seed
from ktgdsl.space.size import size

CLOSED = "closed"
"""The name of a user attribute of the study."""

_Value = TypeVar("_Value")


class SharedStudy(Study):
    """A `Study` that several processes use at the same time.

    Every change is a transaction under the lock of the study, so that the sampler and the pruner
    see a consistent state. Trials are numbered within the budget. When the process that trains one
    is lost, a new Optuna trial of the same number and point replaces it, and the reports of the
    lost one no longer count. A database that cannot be reached is tried again.

    Args:
        plan: the space.
        identity: what has to be equal among the processes, by its name in messages.
        address: of the database.
        join: whether the study may be there already.

    Raises RunError (E511) where the database cannot be used or has another study of that name.
    """

    def __init__(
        self, plan: Plan, identity: Mapping[str, Any], address: str, *, join: bool
    ) -> None:
        assert plan.search is not None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan, self.search = plan, plan.search
        self.torn = None
        self._objectives = tuple(map(str, goals_of(plan.search)))
        self._name = plan.graph.name
        self._distinct = size(plan).distinct
        self._ids: dict[int, int] = {}  # Optuna's, of the trials that this process has
        try:
            self._database = Database(address, TABLES)
            self.retries = Retries(self._database, self._load)
            create_or_join(self._database, self._name, identity, self._create, join=join)
            self._load()
        except DatabaseError as error:
            raise database_unusable(address, error) from None
        self._claims = Claims(self.optuna._study_id)

    def _load(self) -> None:
        """Load the study again, as after a transaction that failed."""
        self._sampler = sampler = DistinctSampler(self.plan, None, self._distinct)
        self._remembered = 0  # trials
        self.optuna = StoppableStudy(self._name, self._database, sampler, pruner_of(self.search))

    def participating(self) -> AbstractContextManager[None]:
        """Send heartbeats during a `with` block, and release at its end what is not done."""
        return participating(self._claims, self._database, self.retries)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers; of each only the last attempt."""
        every = self.retries.run(lambda: self.optuna.get_trials(deepcopy=False))
        ours = (t for t in every if NUMBER in t.user_attrs and LOST not in t.user_attrs)
        return sorted(map(renumbered, ours), key=lambda trial: trial.number)

    @property
    def _attributes(self) -> dict[str, Any]:
        return self.retries.run(lambda: self.optuna.user_attrs)

    def claim(self) -> ClaimedTrial | None:
        """Claim a trial: a lost one, or else a new one; None where there is none at present."""
        try:
            found = self._transact(self._claim)
        except ExhaustedError:
            self.close("exhausted")
            return None
        if found is None:
            return None
        claimed, id = found
        self._ids[claimed.number] = id
        return claimed

    def _claim(self, connection: Connection) -> tuple[ClaimedTrial, int] | None:
        states = (TrialState.RUNNING,)
        running = {t._trial_id: t for t in self.optuna.get_trials(deepcopy=False, states=states)}
        for claim in self._claims.unclaimed(connection, running.keys(), self._ids.keys()):
            trial = running[claim.trial_id]
            id = restart_trial(self.optuna, self._claims, connection, claim, trial)
            if id is not None:
                return self._restarted(claim, trial), id
        number = self._claims.count(connection)
        if number >= self.search.trials or self.closed:
            return None
        return self._start_next(connection, number)

    def _restarted(self, claim: Claim, trial: FrozenTrial) -> ClaimedTrial:
        plan = trial_plan(self.plan, trial.params)
        assert plan is not None
        seed, attempt = int(attribute(trial, SEED)), claim.attempt + claim.lost
        return ClaimedTrial(claim.number, trial.params, plan, seed, attempt)

    def _start_next(self, connection: Connection, number: int) -> tuple[ClaimedTrial, int]:
        """Start a new trial. Raises ExhaustedError when no point is left."""
        sampler = self._sampler
        assert sampler is not None
        trials = self.trials
        for known in trials[self._remembered :]:
            sampler.remember(known.params, attribute(known, GRAPH))
        self._remembered = len(trials)
        if sampler.exhausted or STOPPED in self._attributes:
            raise ExhaustedError
        seed = trial_seed(self.plan, number)
        storage = self.optuna._storage
        queued = queued_sample(self.optuna, sampler, number, self.retries.notify)
        if queued is None and sampler.needs_trial:
            sample, id = self._ask_optuna(sampler, seed)
            storage.set_trial_user_attr(id, NUMBER, number)
        else:
            sample = queued or sampler.propose(self.optuna, number)
            trial = create_trial(
                state=TrialState.RUNNING,
                params=sample.params,
                distributions=sampler.distributions,
                user_attrs={**attributes_of(sample, seed), NUMBER: number},
            )
            id = storage.create_new_trial(self.optuna._study_id, trial)
        graph = sample.plan.canonical_digest if self.search.dedupe else None
        self._claims.add(connection, number, self.search.trials, graph, id)
        return ClaimedTrial(number, sample.params, sample.plan, seed, 1), id

    @property
    def closed(self) -> Literal["exhausted", "time"] | None:
        """Why no further trial starts though the budget is not used up."""
        why: Literal["exhausted", "time"] | None = self._attributes.get(CLOSED)
        return why

    def close(self, why: Literal["exhausted", "time"]) -> None:
        """Have no process start a further trial."""

        def change(_: Connection) -> None:
            if not self.closed:
                self.optuna.set_user_attr(CLOSED, why)

        self._transact(change)

    @property
    def is_over(self) -> bool:
        """Whether no process has a running trial, and none will start."""
        closed, trials = self.closed, self.trials  # in this order
        ended = all(trial.state.is_finished() for trial in trials)
        return ended and (closed is not None or len(trials) >= self.search.trials)

    def report(
        self, number: int, epoch: int, value: float, *, last: bool, values: Sequence[float] = ()
    ) -> TrialState:
        """As of a `Study`. Raises ClaimLostError where another process has the trial now."""

        def change(_: Connection) -> TrialState:
            # The index of an old one lacks the reports of other processes.
            self.optuna.pruner = pruner_of(self.search)
            return Study.report(self, number, epoch, value, last=last, values=values)

        return self._update_trial(number, change)

    def fail(self, number: int, reason: str) -> None:
        """As of a `Study`. Raises ClaimLostError where another process has the trial now."""

        def change(_: Connection) -> TrialState:
            Study.fail(self, number, reason)
            return TrialState.FAIL

        self._update_trial(number, change)

    def _update_trial(self, number: int, change: Callable[[Connection], TrialState]) -> TrialState:
        """Change a trial of this process, and return its state then."""

        def checked(connection: Connection) -> TrialState:
            if not self._claims.holds(connection, number):
                raise ClaimLostError
            state = self.optuna._storage.get_trial(self._ids[number]).state
            # Finished already where the connection was lost before the commit was confirmed.
            return state if state.is_finished() else change(connection)

        try:
            state = self._transact(checked)
        except ClaimLostError:
            del self._ids[number]
            raise
        if state.is_finished():
            del self._ids[number]
        return state

    def _trial(self, number: int) -> Trial:
        return Trial(self.optuna, self._ids[number])

    def standing(self, number: int) -> Standing | None:
        """As of a `Study`."""
        return standing_of(self.trials[number])

    def claim_check(self, keys: Sequence[str]) -> str | None:
        """Claim one of these checks, by `Check.key`; None where there is none at present."""

        def change(connection: Connection) -> str | None:
            known = self.checks
            for key in (each for each in keys if each not in known):
                attempt = self._claims.acquire_check(connection, key)
                if attempt == 0:
                    Study.set_check(self, key, lost_reason(MAX_ATTEMPTS))
                elif attempt is not None:
                    return key
            return None

        return self._transact(change)

    def set_check(self, key: str, value: float | str) -> None:
        """Write the value of a check unless another process has written one."""

        def change(_: Connection) -> None:
            if key not in self.checks:
                Study.set_check(self, key, value)

        self._transact(change)

    def add_teacher(self, teacher: Mapping[str, Any]) -> bool:
        """As of a `Study`."""
        return self._transact(lambda _: Study.add_teacher(self, teacher))

    @property
    def seconds(self) -> float:
        """The seconds since the search began, or that it took."""

        def passed() -> float:
            with self._database.engine.begin() as connection:
                return database_time(connection)

        attributes = self._attributes
        taken = attributes.get(SECONDS)
        return self.retries.run(passed) - attributes[STARTED] if taken is None else float(taken)

    def set_seconds(self, seconds: float) -> None:
        """Nothing, as time passes for all processes until `finish`."""

    def finish(self, path: Path) -> Study:
        """Store how long the search took, and copy the study into a journal; returns the copy."""

        def change(_: Connection) -> None:
            if SECONDS not in self._attributes:
                self.optuna.set_user_attr(SECONDS, self.seconds)

        self._transact(change)
        attributes = self._attributes
        shared = (IDENTITY, STARTED, CLOSED)
        kept = {name: each for name, each in attributes.items() if name not in shared}
        return Study.copied(path, self._name, self._objectives, self.trials, kept)

    @contextmanager
    def _written(self) -> Iterator[None]:
        yield  # in the transaction around it

    def _transact(self, change: Callable[[Connection], _Value]) -> _Value:
        return self.retries.transact(self.optuna._study_id, change)
