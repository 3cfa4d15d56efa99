"""The coordinator of a search: samples trials, submits them to workers, stores their reports."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.plan.model import Plan, SearchPlan
from ktgdsl.searching.checks import Check, leaders
from ktgdsl.searching.events import (
    BestFound,
    CheckDone,
    CheckReported,
    CheckStarted,
    Exhausted,
    FrontReached,
    Listener,
    SearchWarning,
    State,
    TeacherReady,
    TrialEnded,
    TrialReported,
    TrialStarted,
    WorkerLost,
)
from ktgdsl.searching.front import front
from ktgdsl.searching.study.sampling import ExhaustedError, Sample
from ktgdsl.searching.study.study import SEED, Study, attribute, values_of
from ktgdsl.searching.study.trial_plans import trial_plan, trial_seed
from ktgdsl.searching.tasks import check_task, trial_task
from ktgdsl.searching.workers.pool import Pool
from ktgdsl.searching.workers.protocol import (
    Diverged,
    Failed,
    Lost,
    Message,
    Noted,
    Pretrained,
    Report,
)

FIRST_CHECK = 1_000_000_000
"""Task number of the first check, far above the trial numbers, which start at 0."""

BATCH_SECONDS = 0.1
"""How long to sample trials before those sampled so far are submitted to workers."""

Problems = tuple[Diagnostic, ...]

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
}


class Coordinator:
    """Connects the study and the worker pool, in the only process that writes the journal.

    Each report and the pruner's decision are written to the journal before the worker gets the
    decision, so a search killed at any moment resumes without losing or repeating a decision.

    Args:
        plan: the space.
        study: samples trials and decides whether to prune them.
        listener: is called with every event.
        improved: is called with each complete trial that has the best value so far.
        time_is_up: whether to start no further trial; running trials are trained to their end.
    """

    def __init__(
        self,
        plan: Plan,
        study: Study,
        listener: Listener,
        improved: Callable[[FrozenTrial], None],
        time_is_up: Callable[[], bool] = lambda: False,
    ) -> None:
        assert plan.search is not None
        self.plan = plan
        self.search: SearchPlan = plan.search
        self.study = study
        self.exhausted = False
        self._listener = listener
        self._improved = improved
        self._time_is_up = time_is_up
        self._best: float | None = None
        self._trial_count = 0
        self._progress: dict[int, tuple[int, float]] = {}  # last epoch and value, running trials
        self._running_checks: dict[int, Check] = {}
        self._check_count = 0

    def trials(self, pool: Pool) -> None:
        """Train all trials; first those that were running when the search was interrupted."""
        for trial in self._load_trials():
            self._resume(pool, trial)
        while True:
            self._start_trials(pool)
            if not self._progress:
                return
            self._handle(pool, pool.wait())

    def checks(self, pool: Pool, checks: Sequence[Check]) -> None:
        """Train the checks that have no stored value yet, without pruning."""
        stored = self.study.checks
        missing = [check for check in checks if check.key not in stored]
        done = len(checks) - len(missing)
        self._check_count = len(checks)
        for number, check in enumerate(missing, start=FIRST_CHECK):
            self._running_checks[number] = check
            self._listener(
                CheckStarted(check.name, check.seed, done + number - FIRST_CHECK, len(checks))
            )
            pool.submit(check_task(self.plan, number, check.plan, check.seed))
        while self._running_checks:
            for message in pool.wait():
                self._handle_check(pool, message)

    def _load_trials(self) -> list[FrozenTrial]:
        """Load the trials of the journal; returns those that are still running."""
        trials = self.study.trials
        self._trial_count = len(trials)
        if any(trial.state == TrialState.COMPLETE for trial in trials):
            self._publish_best(leaders(trials, 1)[0])
        return [trial for trial in trials if trial.state == TrialState.RUNNING]

    def _resume(self, pool: Pool, trial: FrozenTrial) -> None:
        """Submit a running trial; its worker resumes after the last epoch in the journal."""
        values = values_of(trial)
        epoch, value = max(values.items(), default=(0, 0.0))
        self._progress[trial.number] = epoch, value
        plan = trial_plan(self.plan, trial.params)
        assert plan is not None
        self._listener(TrialStarted(trial.number, dict(trial.params), plan, epoch))
        seed = int(attribute(trial, SEED))
        pool.submit(trial_task(self.plan, trial.number, plan, seed, epoch))

    def _start_trials(self, pool: Pool) -> None:
        """Submit a new trial for every free worker."""
        if self.exhausted:
            return
        while not self.exhausted and (samples := self._sample(pool.free)):
            for seed, sample in samples:
                number = self._trial_count
                self._trial_count += 1
                self._start(pool, number, sample, seed)
        if self.exhausted:
            self._listener(Exhausted(self._trial_count, self.search.trials))

    def _sample(self, limit: int) -> list[tuple[int, Sample]]:
        """The seeds and samples of up to `limit` new trials; empty when no trial may start.

        They share one journal write; sampling stops after BATCH_SECONDS so that no worker idles.
        """
        samples: list[tuple[int, Sample]] = []
        deadline = time.monotonic() + BATCH_SECONDS
        try:
            with self.study.batched_writes():
                end = min(self._trial_count + limit, self.search.trials)
                for number in range(self._trial_count, end):
                    if self._time_is_up() or (samples and time.monotonic() > deadline):
                        break
                    seed = trial_seed(self.plan, number)
                    samples.append((seed, self.study.ask(seed)))
        except ExhaustedError:
            self.exhausted = True
        return samples

    def _start(self, pool: Pool, number: int, sample: Sample, seed: int) -> None:
        """Submit a trial that is trained from its first epoch."""
        self._progress[number] = 0, 0.0
        self._listener(TrialStarted(number, sample.params, sample.plan))
        pool.submit(trial_task(self.plan, number, sample.plan, seed))

    def _handle(self, pool: Pool, messages: Sequence[Message]) -> None:
        """Store the messages in one journal write, then answer workers and emit events."""
        with self.study.batched_writes():
            states = [self._store(message) for message in messages]
        for message, state in zip(messages, states, strict=True):
            self._respond(pool, message, state)

    def _store(self, message: Message) -> TrialState | None:
        """Store a message in the study; the state of its trial after a report, else None."""
        match message:
            case Report(trial=number, epoch=epoch, value=value):
                last, values = message.last, message.values
                return self.study.report(number, epoch, value, last=last, values=values)
            case Diverged() | Failed():
                self.study.fail(message.trial, _reason(message))
        return None

    def _respond(self, pool: Pool, message: Message, state: TrialState | None) -> None:
        """Emit the events of a stored message; after a report, send the worker the decision."""
        match message:
            case Report():
                self._decide(pool, message, state)
            case Diverged():
                self._end(message.trial, "failed", _reason(message))
            case Failed():
                self._end(message.trial, "failed", _reason(message), message.problems)
            case Lost():
                self._listener(WorkerLost(message.trial, message.attempt, message.reason))
            case Noted():
                self._listener(SearchWarning(f"trial {message.trial}: {message.text}"))
            case Pretrained():
                self._store_teacher(message)

    def _decide(self, pool: Pool, report: Report, state: TrialState | None) -> None:
        """Emit the events of a report, and let its worker continue or stop."""
        number, epoch, value = report.trial, report.epoch, report.value
        self._progress[number] = epoch, value
        pruned = state == TrialState.PRUNED
        self._listener(TrialReported(number, epoch, value, pruned, report.numbers))
        if state in _STATES:
            self._end(number, _STATES[state])
        pool.decide(number, not pruned)

    def _end(self, number: int, state: State, reason: str = "", problems: Problems = ()) -> None:
        """Emit the end of a trial, which the study has stored, and whether it is the best."""
        epoch, value = self._progress.pop(number)
        value_or_none = value if epoch else None
        standing = self.study.standing(number)
        self._listener(TrialEnded(number, state, epoch, value_or_none, reason, problems, standing))
        if state == "complete" and self.search.goals:
            self._publish_front(number)
        elif state == "complete" and (self._best is None or value > self._best):
            self._publish_best(self.study.trials[number])

    def _publish_front(self, number: int) -> None:
        """Emit an event if a complete trial is on the Pareto front, and if it is the best there."""
        pareto = front(self.study.trials)
        if all(trial.number != number for trial in pareto):
            return
        trial = self.study.trials[number]
        self._listener(FrontReached(number, tuple(trial.values), len(pareto)))
        if trial.number == pareto[0].number:
            self._publish_best(trial)

    def _publish_best(self, trial: FrozenTrial) -> None:
        """Emit a new best trial, and call `improved` with it."""
        plan = trial_plan(self.plan, trial.params)
        assert plan is not None
        values = values_of(trial)
        self._best = values[max(values)]
        self._improved(trial)
        self._listener(BestFound(trial.number, self._best, plan))

    def _handle_check(self, pool: Pool, message: Message) -> None:
        match message:
            case Report(trial=number, epoch=epoch, value=value):
                check = self._running_checks[number]
                self._listener(CheckReported(check.name, check.seed, epoch, value, message.numbers))
                if message.last:
                    self._end_check(number, value)
                pool.decide(number, keep=True)
            case Diverged(trial=number, epoch=epoch, reason=reason):
                when = f"at epoch {epoch}" if epoch else "in a pre-training"
                self._end_check(number, None, f"diverged {when}: {reason}")
            case Failed(trial=number, reasons=reasons):
                reason = f"failed: {'; then '.join(reasons)}"
                self._end_check(number, None, reason, message.problems)
            case Lost():
                reason = f"{self._running_checks[message.trial].name}: {message.reason}"
                self._listener(WorkerLost(message.trial, message.attempt, reason))
            case Noted():
                name = self._running_checks[message.trial].name
                self._listener(SearchWarning(f"{name}: {message.text}"))
            case Pretrained():
                self._store_teacher(message)

    def _store_teacher(self, message: Pretrained) -> None:
        """Store and emit a pre-trained teacher once; later trials load it from the cache."""
        done = message.done
        teacher = {"network": message.network, **asdict(done)}
        if self.study.add_teacher(teacher):
            self._listener(TeacherReady(message.network, done))

    def _end_check(
        self, number: int, value: float | None, reason: str = "", problems: Problems = ()
    ) -> None:
        check = self._running_checks.pop(number)
        self.study.set_check(check.key, reason if value is None else value)
        done, count = self._checks_done(), self._check_count
        self._listener(CheckDone(check.name, check.seed, done, count, value, reason, problems))

    def _checks_done(self) -> int:
        return self._check_count - len(self._running_checks)


def _reason(message: Diverged | Failed) -> str:
    """Why a trial failed."""
    if isinstance(message, Diverged):
        return f"diverged: {message.reason}"
    return "; then ".join(message.reasons)
