"""The Optuna study of a search that several processes share, in a PostgreSQL database."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal, TypeVar

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy import Connection, extract, func, select

from ktgdsl.errors import RunError
from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.searching.claims import TABLES, Claim, Claims
from ktgdsl.searching.database import (
    Database,
    DatabaseError,
    database_error,
    is_away,
    reason,
    shown,
)
from ktgdsl.searching.pruning import LOST, is_rung, pruner_of
from ktgdsl.searching.sampling import DistinctSampler, ExhaustedError, Params
from ktgdsl.searching.standing import Standing
from ktgdsl.searching.study import (
    GRAPH,
    REASON,
    SECONDS,
    SEED,
    STOPPED,
    StoppableStudy,
    Study,
    attribute,
    attributes_of,
    standing_of,
)
from ktgdsl.searching.trial_plans import trial_plan, trial_seed
from ktgdsl.space.size import size

NUMBER, IDENTITY, BEGAN, CLOSED = "number", "identity", "began", "closed"
"""Names of user attributes, of trials and of the study."""

BEAT, GRACE = 10.0, 60.0
"""Seconds between two signs of life, and of silence after which a process counts as lost."""

ATTEMPTS = 3
"""How many processes may be lost with a trial, or a check, before it fails."""

PATIENCE = 300.0
"""Seconds for which a database that is away is tried again."""

PAUSES = 0.5, 1.0, 2.0, 5.0
"""Seconds between these tries; the last again and again."""

_ANOTHER_NAME = "give the graph another name, or name another database"

_Value = TypeVar("_Value")


class TakenError(Exception):
    """The trial was given to another process, as this one seemed to be lost."""


@dataclass(frozen=True)
class Claimed:
    """A trial that this process has to train; `attempt` is 1 unless processes were lost with it."""

    number: int
    params: Params
    plan: Plan
    seed: int
    attempt: int


class SharedStudy(Study):
    """A study as a `Study`, which other processes ask and tell meanwhile.

    A change is one transaction, and there is one at a time, so that nothing moves under the
    sampler or the pruner. A trial has the number of its place in the budget. When the process that
    trains it is lost, its point becomes a new trial with Optuna, of the same number, and what was
    reported of the lost one no longer counts. A database that is away is tried again.

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
        self.tell: Callable[[str], object] = lambda _: None
        """Is called with a sentence where the database is away."""
        self._objectives = tuple(map(str, goals_of(plan.search)))
        self._name = plan.graph.name
        self._distinct = size(plan).distinct
        self._ids: dict[int, int] = {}  # Optuna's, of the trials that this process has
        self._connection: Connection | None = None  # in a transaction
        try:
            self._database = Database(address, TABLES)
            self._join(identity, join)
            self._load()
        except DatabaseError as error:
            raise _unusable(address, error) from None
        self._claims = Claims(self.optuna._study_id, GRACE)
        self._is_behind = False

    def _join(self, identity: Mapping[str, Any], join: bool) -> None:
        """Make the study if there is none; that of others has to be of the same space."""
        with self._database.transaction() as connection:
            studies = {study.study_name: study for study in self._database.get_all_studies()}
            if self._name not in studies:
                self._create(self._database)
                study = optuna.load_study(study_name=self._name, storage=self._database)
                study.set_user_attr(IDENTITY, dict(identity))
                study.set_user_attr(BEGAN, _now(connection))
                return
        noted = studies[self._name].user_attrs.get(IDENTITY)
        if noted is None:
            message = f"the database has a study {self._name!r} of another program"
            raise database_error(message, _ANOTHER_NAME)
        if differing := [each for each in identity if identity[each] != noted.get(each)]:
            raise database_error(
                f"the database has another search {self._name!r}: it differs in "
                + " and ".join(differing),
                f"join with the same files and version; or {_ANOTHER_NAME}",
            )
        if not join:
            raise database_error(
                f"the database has the search {self._name!r} already",
                f"--join takes part in it, or writes its result; or {_ANOTHER_NAME}",
            )

    def _load(self) -> None:
        """Look at the study anew, as after a transaction that failed."""
        self._sampler = sampler = DistinctSampler(self.plan, None, self._distinct)
        self._remembered = 0  # trials
        self.optuna = StoppableStudy(self._name, self._database, sampler, pruner_of(self.search))

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Give signs of life meanwhile, and give back at the end what is not done."""
        over = Event()

        def beat() -> None:
            with self._database.engine.begin() as connection:
                self._claims.beat(connection)

        def beat_on() -> None:
            while not over.wait(BEAT):
                with suppress(*DatabaseError):
                    beat()

        self._patiently(beat)
        thread = Thread(target=beat_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(*DatabaseError), self._database.engine.begin() as connection:
                self._claims.leave(connection)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers; of each only the last attempt."""
        every = self._patiently(lambda: self.optuna.get_trials(deepcopy=False))
        trials = [_numbered(trial) for trial in every if LOST not in trial.user_attrs]
        return sorted(trials, key=lambda trial: trial.number)

    @property
    def _attributes(self) -> dict[str, Any]:
        return self._patiently(lambda: self.optuna.user_attrs)

    def claim(self) -> Claimed | None:
        """A trial for this process: a lost one, or else the next; None where there is none now.

        Others may be lost later as long as some are running.
        """
        try:
            found = self._changing(self._claim)
        except ExhaustedError:
            self.close("exhausted")
            return None
        if found is None:
            return None
        claimed, id = found
        self._ids[claimed.number] = id
        return claimed

    def _claim(self, connection: Connection) -> tuple[Claimed, int] | None:
        states = (TrialState.RUNNING,)
        running = {t._trial_id: t for t in self.optuna.get_trials(deepcopy=False, states=states)}
        for free in self._claims.free(connection, running.keys(), self._ids.keys()):
            if (taken := self._take(connection, free, running[free.trial_id])) is not None:
                return taken
        number = self._claims.count(connection)
        if number >= self.search.trials or self.closed:
            return None
        return self._next(connection, number)

    def _take(
        self, connection: Connection, free: Claim, trial: FrozenTrial
    ) -> tuple[Claimed, int] | None:
        """Begin a trial anew that was lost or given back; None where it was lost too often."""
        storage, id = self.optuna._storage, trial._trial_id
        if free.lost and free.attempt >= ATTEMPTS:
            storage.set_trial_user_attr(id, REASON, _lost_text(free.attempt))
            storage.set_trial_state_values(id, TrialState.FAIL)
            self._claims.take(connection, free, id)
            return None
        storage.set_trial_user_attr(id, LOST, True)
        storage.set_trial_state_values(id, TrialState.FAIL)
        again = create_trial(
            state=TrialState.RUNNING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={name: each for name, each in trial.user_attrs.items() if name != LOST},
            system_attrs={n: each for n, each in trial.system_attrs.items() if not is_rung(n)},
        )
        new = storage.create_new_trial(self.optuna._study_id, again)
        self._claims.take(connection, free, new)
        plan = trial_plan(self.plan, trial.params)
        assert plan is not None
        seed, attempt = int(attribute(trial, SEED)), free.attempt + free.lost
        return Claimed(free.number, trial.params, plan, seed, attempt), new

    def _next(self, connection: Connection, number: int) -> tuple[Claimed, int]:
        """Begin the next trial. Raises ExhaustedError when no point is left."""
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
        if sampler.needs_trial:
            sample = self._ask_optuna(sampler, seed)
            id = self.optuna.get_trials(deepcopy=False)[-1]._trial_id
            storage.set_trial_user_attr(id, NUMBER, number)
        else:
            sample = sampler.propose(self.optuna, number)
            trial = create_trial(
                state=TrialState.RUNNING,
                params=sample.params,
                distributions=sampler.distributions,
                user_attrs={**attributes_of(sample, seed), NUMBER: number},
            )
            id = storage.create_new_trial(self.optuna._study_id, trial)
        graph = sample.plan.canonical_digest if self.search.dedupe else None
        self._claims.add(connection, number, self.search.trials, graph, id)
        return Claimed(number, sample.params, sample.plan, seed, 1), id

    @property
    def closed(self) -> Literal["exhausted", "time"] | None:
        """Why no further trial begins though there is a budget for it."""
        why: Literal["exhausted", "time"] | None = self._attributes.get(CLOSED)
        return why

    def close(self, why: Literal["exhausted", "time"]) -> None:
        """Have no process begin a further trial."""

        def change(_: Connection) -> None:
            if not self.closed:
                self.optuna.set_user_attr(CLOSED, why)

        self._changing(change)

    @property
    def is_over(self) -> bool:
        """Whether no trial is under way anywhere, and none will begin."""
        closed, trials = self.closed, self.trials  # in this order
        ended = all(trial.state.is_finished() for trial in trials)
        return ended and (closed is not None or len(trials) >= self.search.trials)

    def report(
        self, number: int, epoch: int, value: float, *, last: bool, values: Sequence[float] = ()
    ) -> TrialState:
        """As of a `Study`. Raises TakenError where another process has the trial now."""

        def change(_: Connection) -> TrialState:
            self.optuna.pruner = pruner_of(self.search)  # it knows nothing of other processes
            return Study.report(self, number, epoch, value, last=last, values=values)

        return self._ending(number, change)

    def fail(self, number: int, reason: str) -> None:
        """As of a `Study`. Raises TakenError where another process has the trial now."""

        def change(_: Connection) -> TrialState:
            Study.fail(self, number, reason)
            return TrialState.FAIL

        self._ending(number, change)

    def _ending(self, number: int, change: Callable[[Connection], TrialState]) -> TrialState:
        """Make a change that may end a trial of this process; its state then."""

        def checked(connection: Connection) -> TrialState:
            if not self._claims.holds(connection, number):
                raise TakenError
            state = self.optuna._storage.get_trial(self._ids[number]).state
            # Over already where the confirmation was lost with the connection.
            return state if state.is_finished() else change(connection)

        try:
            state = self._changing(checked)
        except TakenError:
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
        """One of these checks, by `Check.key`, that nobody trains; None where there is none now."""

        def change(connection: Connection) -> str | None:
            known = self.checks
            for key in (each for each in keys if each not in known):
                attempt = self._claims.take_check(connection, key, ATTEMPTS)
                if attempt == 0:
                    Study.set_check(self, key, _lost_text(ATTEMPTS))
                elif attempt is not None:
                    return key
            return None

        return self._changing(change)

    def set_check(self, key: str, value: float | str) -> None:
        """Write the value of a check unless it has one, from a process that seemed lost."""

        def change(_: Connection) -> None:
            if key not in self.checks:
                Study.set_check(self, key, value)

        self._changing(change)

    def add_teacher(self, teacher: Mapping[str, Any]) -> bool:
        """As of a `Study`."""
        return self._changing(lambda _: Study.add_teacher(self, teacher))

    @property
    def seconds(self) -> float:
        """The seconds since the search began, or that it took."""

        def passed() -> float:
            with self._database.engine.begin() as connection:
                return _now(connection)

        attributes = self._attributes
        taken = attributes.get(SECONDS)
        return self._patiently(passed) - attributes[BEGAN] if taken is None else float(taken)

    def set_seconds(self, seconds: float) -> None:
        """Nothing, as time passes for all processes until `finish`."""

    def finish(self, path: Path) -> Study:
        """Note how long the search took, and copy the study into a journal; that study."""

        def change(_: Connection) -> None:
            if SECONDS not in self._attributes:
                self.optuna.set_user_attr(SECONDS, self.seconds)

        self._changing(change)
        attributes = self._attributes
        shared = (IDENTITY, BEGAN, CLOSED)
        kept = {name: each for name, each in attributes.items() if name not in shared}
        return Study.copied(path, self._name, self._objectives, self.trials, kept)

    @contextmanager
    def _written(self) -> Iterator[None]:
        yield  # in the transaction around it

    def _changing(self, change: Callable[[Connection], _Value]) -> _Value:
        """Make a change in a transaction of its own."""

        def attempt() -> _Value:
            with self._database.transaction(self.optuna._study_id) as connection:
                self._connection = connection
                try:
                    return change(connection)
                finally:
                    self._connection = None

        return self._patiently(attempt)

    def _patiently(self, work: Callable[[], _Value]) -> _Value:
        """Do something with the database, again while it is away; in a transaction just once."""
        if self._connection is not None:
            return work()
        until = time.monotonic() + PATIENCE
        pauses = chain(PAUSES, repeat(PAUSES[-1]))
        is_told = False
        while True:
            try:
                if self._is_behind:
                    self._load()
                    self._is_behind = False
                return work()
            except DatabaseError as error:
                self._is_behind = True
                if not is_away(error) or time.monotonic() >= until:
                    raise _unusable(self._database.url, error) from None
                if not is_told:
                    self.tell(f"the database is away, and tried again: {reason(error)}")
                    is_told = True
            except BaseException:
                self._is_behind = True
                raise
            time.sleep(next(pauses))


def _numbered(trial: FrozenTrial) -> FrozenTrial:
    """A trial with the number of its place in the budget."""
    numbered = copy(trial)
    numbered.user_attrs = dict(trial.user_attrs)
    numbered.number = numbered.user_attrs.pop(NUMBER)
    return numbered


def _lost_text(attempts: int) -> str:
    return f"{attempts} processes were lost with it"


def _now(connection: Connection) -> float:
    """The database's clock, in seconds."""
    return float(connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())


def _unusable(address: str, error: BaseException) -> RunError:
    return database_error(f"the database {shown(address)} cannot be used: {reason(error)}")
