"""The coordinator of one of several processes that share a search."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from optuna.trial import FrozenTrial

from ktgdsl.plan.model import Plan
from ktgdsl.searching.checks import Check
from ktgdsl.searching.coordinator import FIRST_CHECK, Coordinator, Problems
from ktgdsl.searching.events import CheckStarted, Exhausted, Listener, SearchWarning, State
from ktgdsl.searching.folder import STATES
from ktgdsl.searching.shared.shared_study import SharedStudy
from ktgdsl.searching.shared.shared_trials import ClaimLostError
from ktgdsl.searching.study.sampling import Sample
from ktgdsl.searching.study.study import REASON, attribute, values_of
from ktgdsl.searching.tasks import check_task
from ktgdsl.searching.workers.pool import Pool
from ktgdsl.searching.workers.protocol import Message, Report

POLL_SECONDS = 2.0
"""Seconds between two polls of what other processes have released or finished."""


class JoinedCoordinator(Coordinator):
    """Trains the trials and checks that it claims of a shared study.

    Events report the ends of other processes' trials as well. Trials are over when those of all
    processes are, and so are checks.
    """

    study: SharedStudy

    def __init__(
        self,
        plan: Plan,
        study: SharedStudy,
        listener: Listener,
        improved: Callable[[FrozenTrial], None],
        time_is_up: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(plan, study, listener, improved, time_is_up)
        self._ended = {trial.number for trial in study.trials if trial.state.is_finished()}
        self._next_claim = self._next_poll = 0.0  # by the clock

    def trials(self, pool: Pool) -> None:
        """Train trials until there is none left for any process."""
        self._load_trials()
        while True:
            self._report_others()
            self._claim(pool)
            if self._progress:
                self._handle(pool, pool.wait())
            elif self.study.is_over:
                self._report_others(now=True)
                return
            else:
                time.sleep(POLL_SECONDS)

    def _claim(self, pool: Pool) -> None:
        while pool.free > 0 and time.monotonic() >= self._next_claim:
            if self._time_is_up() and not self.study.closed:
                self.study.close("time")
            claimed = self.study.claim()
            if claimed is None:
                self._next_claim = time.monotonic() + POLL_SECONDS
                self._report_exhausted()
                return
            if claimed.attempt > 1:
                lost = "the process that trained it was lost"
                again = f"it begins again, attempt {claimed.attempt}"
                self._listener(SearchWarning(f"trial {claimed.number}: {lost}, {again}"))
            sample = Sample(claimed.params, claimed.plan)
            self._start(pool, claimed.number, sample, claimed.seed)

    def _report_exhausted(self) -> None:
        if not self.exhausted and self.study.closed == "exhausted":
            self.exhausted = True
            self._listener(Exhausted(len(self.study.trials), self.search.trials))

    def _report_others(self, *, now: bool = False) -> None:
        """Send the events of trials that other processes have ended."""
        if not now and time.monotonic() < self._next_poll:
            return
        for trial in self.study.trials:
            number = trial.number
            if (
                trial.state.is_finished()
                and number not in self._ended
                and number not in self._progress
            ):
                self._progress[number] = max(values_of(trial).items(), default=(0, 0.0))
                state = cast(State, STATES[trial.state])
                self._end(number, state, str(attribute(trial, REASON) or ""))
        self._next_poll = time.monotonic() + POLL_SECONDS

    def _end(self, number: int, state: State, reason: str = "", problems: Problems = ()) -> None:
        self._ended.add(number)
        super()._end(number, state, reason, problems)

    def _handle(self, pool: Pool, messages: Sequence[Message]) -> None:
        for message in messages:
            try:
                state = self._store(message)
            except ClaimLostError:
                self._drop_claim(message.trial)
                if isinstance(message, Report):
                    pool.decide(message.trial, keep=False)
            else:
                self._respond(pool, message, state)

    def _drop_claim(self, number: int) -> None:
        del self._progress[number]
        reason = "another process has it now, as this one seemed to be lost"
        self._listener(SearchWarning(f"trial {number}: {reason}"))

    def checks(self, pool: Pool, checks: Sequence[Check]) -> None:
        """Train checks, all to the end, until there is none left for any process."""
        numbered = dict(enumerate(checks, start=FIRST_CHECK))
        self._check_count = len(checks)
        while True:
            self._claim_checks(pool, numbered)
            if self._running_checks:
                for message in pool.wait():
                    self._handle_check(pool, message)
            elif self._checks_done() == len(checks):
                return
            else:
                time.sleep(POLL_SECONDS)

    def _claim_checks(self, pool: Pool, numbered: Mapping[int, Check]) -> None:
        numbers = {check.key: number for number, check in numbered.items()}
        while pool.free > 0 and time.monotonic() >= self._next_claim:
            held = {check.key for check in self._running_checks.values()}
            key = self.study.claim_check([each for each in numbers if each not in held])
            if key is None:
                self._next_claim = time.monotonic() + POLL_SECONDS
                return
            number = numbers[key]
            self._running_checks[number] = check = numbered[number]
            done, count = self._checks_done(), self._check_count
            self._listener(CheckStarted(check.name, check.seed, done, count))
            pool.submit(check_task(self.plan, number, check.plan, check.seed))

    def _checks_done(self) -> int:
        return len(self.study.checks)
