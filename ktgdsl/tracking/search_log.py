"""Logs a search: each trial and each training that judges it, from the events of the search."""

import re

from ktgdsl.plan.model import Plan
from ktgdsl.searching.events import (
    CheckDone,
    CheckReported,
    CheckStarted,
    Event,
    SearchFinished,
    SearchStarted,
    State,
    TrialEnded,
    TrialReported,
    TrialStarted,
)
from ktgdsl.searching.result import SearchResult
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.tracking import logged_run
from ktgdsl.tracking.facts import kept_text, parameters, picture_of, tags
from ktgdsl.tracking.logged_run import Group, LoggedRun, Row
from ktgdsl.tracking.tracker import Tracker

VALUE = "value"
"""The name of the objective, in percent."""

_STATES: dict[State, logged_run.State] = {
    "complete": "finished",
    "pruned": "pruned",
    "failed": "failed",
}


class SearchLog:
    """Takes the events of one search, `SearchStarted` first.

    Where a search is resumed, the trials that were under way go on under their own names.
    """

    def __init__(self, tracker: Tracker, started: SearchStarted) -> None:
        self._tracker, self._folder, self._earlier = tracker, started.folder, started.earlier
        folder, plan = started.folder, started.plan
        text = kept_text(folder, "space.ktg")
        about = tags(plan, folder)
        self._group = Group(folder.resolve().name, folder, text, parameters(plan), about)
        self._common = {name: about[name] for name in about.keys() - {"digest", "canonical_digest"}}

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case TrialStarted():
                earlier = self._earlier[event.trial : event.trial + 1]
                rows = [Row(k, {VALUE: v}) for each in earlier for k, v in each.values.items()]
                self._tracker.begin(self._of_trial(event), rows)
            case TrialReported():
                row = Row(event.epoch, {VALUE: event.value, **event.numbers})
                self._tracker.log(_trial(event.trial), row)
            case TrialEnded():
                reason = event.reason or str(event.standing or "")
                self._end(_trial(event.trial), _STATES[event.state], event.value, reason)
            case CheckStarted():
                self._tracker.begin(self._of_check(event))
            case CheckReported():
                row = Row(event.epoch, {VALUE: event.value, **event.numbers})
                self._tracker.log(_check(event.name, event.seed), row)
            case CheckDone():
                state: logged_run.State = "failed" if event.value is None else "finished"
                self._end(_check(event.name, event.seed), state, event.value, event.reason)
            case SearchFinished():
                self._tracker.end_all("finished", _outcome(event.result))
            case _:
                pass

    def _end(self, key: str, state: logged_run.State, value: float | None, reason: str) -> None:
        summary = {} if value is None else {f"final_{VALUE}": value}
        self._tracker.end(key, state, summary, {"reason": reason} if reason else {})

    def _of_trial(self, event: TrialStarted) -> LoggedRun:
        plan = event.plan
        digests = {"digest": plan.digest, "canonical_digest": plan.canonical_digest}
        return LoggedRun(
            key=_trial(event.trial),
            name=f"trial {event.trial}",
            folder=self._folder,
            epoch=event.epoch,
            text=unparse_plan(plan, self._folder),
            parameters={name: str(value) for name, value in event.drawn.items()},
            tags={**self._common, **digests},
            goal=VALUE,
            phases=_phases(plan),
            group=self._group,
            picture=picture_of(plan),
        )

    def _of_check(self, event: CheckStarted) -> LoggedRun:
        return LoggedRun(
            key=_check(event.name, event.seed),
            name=f"{event.name}, seed {event.seed}",
            folder=self._folder,
            epoch=0,
            text="",
            parameters={"check": event.name, "train.seed": str(event.seed)},
            tags=self._common,
            goal=VALUE,
            group=self._group,
        )


def _phases(plan: Plan) -> tuple[str, ...]:
    return tuple(phase.name for phase in plan.phases)


def _trial(number: int) -> str:
    return f"trial-{number}"


def _check(name: str, seed: int) -> str:
    plain = re.sub(r"\W+", "-", name)
    return f"check-{plain}-{seed}"


def _outcome(result: SearchResult) -> dict[str, float]:
    """The summary of a search: its best value, and the baselines."""
    best = result.best
    return {
        "best_value": best.value if best.confirmed is None else best.confirmed.mean,
        "best_trial": best.trial,
        **{f"trials/{state}": number for state, number in result.states.items()},
        **{f"baseline/{name}": score.mean for name, score in result.baselines.items()},
    }
