"""The coordinator of a search: asks the study for trials, has them trained, reports values."""

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
    State,
    TeacherReady,
    TrialEnded,
    TrialNoted,
    TrialReported,
    TrialStarted,
    WorkerLost,
)
from ktgdsl.searching.front import front
from ktgdsl.searching.pool import Pool
from ktgdsl.searching.protocol import (
    Diverged,
    Failed,
    Lost,
    Message,
    Noted,
    Pretrained,
    Report,
)
from ktgdsl.searching.sampling import ExhaustedError, Sample
from ktgdsl.searching.study import SEED, Study, attribute, values_of
from ktgdsl.searching.tasks import check_task, trial_task
from ktgdsl.searching.trial_plans import trial_plan, trial_seed

FIRST_CHECK = 1_000_000_000
"""The number of the first check. The pool numbers trials and checks alike, trials from 0."""

BATCH_SECONDS = 0.1
"""How long to go on asking for trials before those already sampled are started."""

Problems = tuple[Diagnostic, ...]

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
}


class Coordinator:
    """Connects the study and the pool, in the one process that writes the journal.

    A report and the decision about it are in the journal before the worker has the answer, so a
    search that is killed at any moment resumes as if it had not been.

    Args:
        plan: the space.
        study: gives the trials and decides about their reports.
        listener: is called with every event.
        improved: is called with a complete trial that has the best value so far.
        time_is_up: whether no further trial may begin; those that have begun go on.
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
        self._asked = 0  # trials
        self._last: dict[int, tuple[int, float]] = {}  # epoch and value of running trials
        self._checks: dict[int, Check] = {}
        self._check_count = 0

    def trials(self, pool: Pool) -> None:
        """Train all trials; first those that were running when the search was cut off."""
        for trial in self._recall():
            self._resume(pool, trial)
        while True:
            self._ask(pool)
            if not self._last:
                return
            self._handle(pool, pool.wait())

    def checks(self, pool: Pool, checks: Sequence[Check]) -> None:
        """Train the checks whose value is not known yet, all to the end."""
        known = self.study.checks
        waiting = [check for check in checks if check.key not in known]
        done = len(checks) - len(waiting)
        self._check_count = len(checks)
        for number, check in enumerate(waiting, start=FIRST_CHECK):
            self._checks[number] = check
            self._listener(
                CheckStarted(check.name, check.seed, done + number - FIRST_CHECK, len(checks))
            )
            pool.submit(check_task(self.plan, number, check.plan, check.seed))
        while self._checks:
            for message in pool.wait():
                self._handle_check(pool, message)

    def _recall(self) -> list[FrozenTrial]:
        """Load the trials of the journal; returns those that are still running."""
        trials = self.study.trials
        self._asked = len(trials)
        if any(trial.state == TrialState.COMPLETE for trial in trials):
            self._improve(leaders(trials, 1)[0])
        return [trial for trial in trials if trial.state == TrialState.RUNNING]

    def _resume(self, pool: Pool, trial: FrozenTrial) -> None:
        """Give a running trial to a worker, which resumes after the epochs in the journal."""
        reports = values_of(trial)
        epoch, value = max(reports.items(), default=(0, 0.0))
        self._last[trial.number] = epoch, value
        plan = trial_plan(self.plan, trial.params)
        assert plan is not None
        self._listener(TrialStarted(trial.number, dict(trial.params), plan, epoch))
        seed = int(attribute(trial, SEED))
        pool.submit(trial_task(self.plan, trial.number, plan, seed, epoch))

    def _ask(self, pool: Pool) -> None:
        """Give every worker that is free a new trial."""
        if self.exhausted:
            return
        while not self.exhausted and (samples := self._sample(pool.free)):
            for seed, sample in samples:
                number = self._asked
                self._asked += 1
                self._start(pool, number, sample, seed)
        if self.exhausted:
            self._listener(Exhausted(self._asked, self.search.trials))

    def _sample(self, most: int) -> list[tuple[int, Sample]]:
        """Ask for some trials, `most` at most: their seeds and samples; none at the end.

        They are written together, but no worker waits long for the others.
        """
        samples: list[tuple[int, Sample]] = []
        until = time.monotonic() + BATCH_SECONDS
        try:
            with self.study.written_together():
                for number in range(self._asked, min(self._asked + most, self.search.trials)):
                    if self._time_is_up() or (samples and time.monotonic() > until):
                        break
                    seed = trial_seed(self.plan, number)
                    samples.append((seed, self.study.ask(seed)))
        except ExhaustedError:
            self.exhausted = True
        return samples

    def _start(self, pool: Pool, number: int, sample: Sample, seed: int) -> None:
        """Give a trial to a worker, to be trained from its first epoch."""
        self._last[number] = 0, 0.0
        self._listener(TrialStarted(number, sample.params, sample.plan))
        pool.submit(trial_task(self.plan, number, sample.plan, seed))

    def _handle(self, pool: Pool, messages: Sequence[Message]) -> None:
        """Write what messages say of trials, all at once, and only then answer and tell of it."""
        with self.study.written_together():
            states = [self._note(message) for message in messages]
        for message, state in zip(messages, states, strict=True):
            self._tell(pool, message, state)

    def _note(self, message: Message) -> TrialState | None:
        """Take a message into the study; the state of its trial if that is decided."""
        match message:
            case Report(trial=number, epoch=epoch, value=value):
                last, values = message.last, message.values
                return self.study.report(number, epoch, value, last=last, values=values)
            case Diverged() | Failed():
                self.study.fail(message.trial, _reason(message))
        return None

    def _tell(self, pool: Pool, message: Message, state: TrialState | None) -> None:
        match message:
            case Report():
                self._answer(pool, message, state)
            case Diverged():
                self._end(message.trial, "failed", _reason(message))
            case Failed():
                self._end(message.trial, "failed", _reason(message), message.problems)
            case Lost():
                self._listener(WorkerLost(message.trial, message.attempt, message.reason))
            case Noted():
                self._listener(TrialNoted(f"trial {message.trial}: {message.text}"))
            case Pretrained():
                self._note_teacher(message)

    def _answer(self, pool: Pool, report: Report, state: TrialState | None) -> None:
        number, epoch, value = report.trial, report.epoch, report.value
        self._last[number] = epoch, value
        kept = state != TrialState.PRUNED
        self._listener(TrialReported(number, epoch, value, kept, report.numbers))
        if state in _STATES:
            self._end(number, _STATES[state])
        pool.decide(number, kept)

    def _end(self, number: int, state: State, reason: str = "", problems: Problems = ()) -> None:
        """Report the end of a trial to the listener; the study has it already."""
        epoch, value = self._last.pop(number)
        value_or_none = value if epoch else None
        standing = self.study.standing(number)
        self._listener(TrialEnded(number, state, epoch, value_or_none, reason, problems, standing))
        if state == "complete" and self.search.goals:
            self._complete_with_goals(number)
        elif state == "complete" and (self._best is None or value > self._best):
            self._improve(self.study.trials[number])

    def _complete_with_goals(self, number: int) -> None:
        """Report a complete trial that is on the front to the listener, and a new best one."""
        found = front(self.study.trials)
        if all(trial.number != number for trial in found):
            return
        trial = self.study.trials[number]
        self._listener(FrontReached(number, tuple(trial.values), len(found)))
        if trial.number == found[0].number:
            self._improve(trial)

    def _improve(self, trial: FrozenTrial) -> None:
        """Report a new best trial to the listener."""
        plan = trial_plan(self.plan, trial.params)
        assert plan is not None
        values = values_of(trial)
        self._best = values[max(values)]
        self._improved(trial)
        self._listener(BestFound(trial.number, self._best, plan))

    def _handle_check(self, pool: Pool, message: Message) -> None:
        match message:
            case Report(trial=number, epoch=epoch, value=value):
                check = self._checks[number]
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
                reason = f"{self._checks[message.trial].name}: {message.reason}"
                self._listener(WorkerLost(message.trial, message.attempt, reason))
            case Noted():
                name = self._checks[message.trial].name
                self._listener(TrialNoted(f"{name}: {message.text}"))
            case Pretrained():
                self._note_teacher(message)

    def _note_teacher(self, message: Pretrained) -> None:
        """Report a pre-trained teacher once: later trials load it from the cache."""
        done = message.done
        teacher = {"network": message.network, **asdict(done)}
        if self.study.add_teacher(teacher):
            self._listener(TeacherReady(message.network, done))

    def _end_check(
        self, number: int, value: float | None, reason: str = "", problems: Problems = ()
    ) -> None:
        check = self._checks.pop(number)
        self.study.set_check(check.key, reason if value is None else value)
        done, count = self._checks_done(), self._check_count
        self._listener(CheckDone(check.name, check.seed, done, count, value, reason, problems))

    def _checks_done(self) -> int:
        return self._check_count - len(self._checks)


def _reason(message: Diverged | Failed) -> str:
    """Why a trial failed."""
    if isinstance(message, Diverged):
        return f"diverged: {message.reason}"
    return "; then ".join(message.reasons)
