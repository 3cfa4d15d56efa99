"""A search as plain lines: trials as they end, then the result."""

import math
import shlex
import time
from collections.abc import Callable, Iterator

from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.report.describe import fitting_lines
from ktgdsl.report.formatting import Clock, count, duration, one_line, truncated
from ktgdsl.report.front_text import front_text, reached_text, with_front
from ktgdsl.report.run_text import pretrained_text
from ktgdsl.report.search_progress import STATES, SearchProgress, check_text, exhausted_text
from ktgdsl.searching.events import (
    BestFound,
    CheckDone,
    CheckStarted,
    Event,
    Exhausted,
    FrontReached,
    Listener,
    SearchFinished,
    SearchStarted,
    SearchWarning,
    TeacherReady,
    TrialEnded,
    WorkerLost,
)
from ktgdsl.searching.result import Finalist, SearchResult

LINE_EACH = 200
"""Up to this number of trials each one gets a line."""

TRIAL_LINE_SECONDS = 1.0
"""With more trials, the least time between two lines about them."""

MIN_SECONDS_LEFT = 1.5
"""The least remaining time, in seconds, that is printed."""

MAX_TIED = 10
"""More trials that are as good as the best are only counted."""

MAX_EDGES = 6
"""More edges of a graph are only counted in a line."""


def plain_search_listener(
    write: Callable[[str], object], clock: Clock = time.monotonic
) -> Listener:
    """A listener that calls `write` with a line, without its end, for what is worth one.

    In a long search trials that end within a second share a line: it says how many are over.
    """
    writer: _LineWriter | None = None

    def listen(event: Event) -> None:
        nonlocal writer
        if isinstance(event, SearchStarted):
            writer = _LineWriter(SearchProgress(event, clock), write)
        elif writer is not None:
            writer(event)
        if isinstance(event, SearchFinished):
            result = search_result_text(event.plan, event.result, already=event.already)
            for line in result.splitlines():
                write(line)

    return listen


def search_warnings(event: Event) -> tuple[str, ...]:
    """The warnings of a search, which are shown even if only its result is wanted."""
    match event:
        case SearchStarted():
            return event.notes
        case SearchWarning():
            return (one_line(event.text),)
    return ()


class _LineWriter:
    """Writes lines while a search is under way."""

    def __init__(self, progress: SearchProgress, write: Callable[[str], object]) -> None:
        self._progress, self._write = progress, write
        self._last_trial_line = -math.inf
        self._unwritten: TrialEnded | None = None
        for line in (_headline(progress), *progress.started.notes):
            write(line)

    def __call__(self, event: Event) -> None:
        progress, plan = self._progress, self._progress.plan
        is_first_check = isinstance(event, CheckStarted) and not progress.checks
        if isinstance(event, CheckStarted | SearchFinished):
            self._write_trial()
        progress(event)
        if isinstance(event, TrialEnded):
            self._unwritten = event
            waited = progress.clock() - self._last_trial_line
            each = progress.started.trials <= LINE_EACH or progress.done == progress.total
            if each or waited >= TRIAL_LINE_SECONDS:
                self._write_trial()
        match event:
            case BestFound():
                edges = "; ".join(truncated(progress.edges, MAX_EDGES))
                first = [f" by {each}" for each in goals_of(plan.search)[:1]] if plan.search else []
                found = f"{event.value:.2f} %, trial {event.trial}: {edges}"
                self._write(f"new best{''.join(first)}: {found}")
            case FrontReached():
                self._write(reached_text(plan, event))
            case CheckStarted() if is_first_check:
                trainings = count(event.of - event.done, "training")
                self._write(f"the trials are over, {trainings} to judge the result")
            case CheckDone():
                self._write(_check_line(progress, event))
            case TeacherReady():
                self._write(teacher_text(event))
            case WorkerLost() | SearchWarning() | Exhausted():
                self._write(f"warning: {progress.warning}")

    def _write_trial(self) -> None:
        if self._unwritten is not None:
            self._write(_trial_line(self._progress, self._unwritten))
            self._last_trial_line, self._unwritten = self._progress.clock(), None


def teacher_text(event: TeacherReady) -> str:
    """The outcome of a teacher's pre-training in words."""
    return f"{pretrained_text(event.done)} ({event.network})"


def _headline(progress: SearchProgress) -> str:
    started, plan = progress.started, progress.plan
    resumed = f", going on after {count(started.done, 'trial')}" if started.done else ""
    return (
        f"{plan.graph.name}: {count(started.trials, 'trial')} of up to "
        f"{count(started.epochs, 'epoch')} for {progress.target} on {plan.data.source}, "
        f"{count(started.workers, 'worker')}, into {started.folder}{resumed}"
    )


def _trial_line(progress: SearchProgress, ended: TrialEnded) -> str:
    value = "" if ended.value is None else f" at {ended.value:.2f} %"
    why = one_line(ended.reason) if ended.reason else str(ended.standing or "")
    reason = f": {why}" if why else ""
    # One ends before the worker's next begins, so nearly every line would have one too few running.
    cells = [f"{progress.done}/{progress.total} trials", *progress.ended_counts]
    cells.append(f"trial {ended.trial} {ended.state} after epoch {ended.epochs}{value}{reason}")
    return "  ".join([*cells, *_left(progress)])


def _left(progress: SearchProgress) -> list[str]:
    """How long it still takes, where that is known and worth a word."""
    seconds = progress.seconds_left or 0
    return [f"about {duration(seconds)} left"] if seconds >= MIN_SECONDS_LEFT else []


def _check_line(progress: SearchProgress, event: CheckDone) -> str:
    outcome = event.reason if event.value is None else f"{event.value:.2f} %"
    cells = [f"judging {event.done}/{event.of}", check_text(event.name, event.seed, outcome)]
    return "  ".join([*cells, *_left(progress)])


def search_result_text(
    plan: Plan, result: SearchResult, *, already: bool = False, width: int | None = None
) -> str:
    """The result of a search as plain lines: the best graph, what it compares with, the cost.

    The table has a line for each of its cells where it is wider than `width`.
    """
    states = {**dict.fromkeys(STATES, 0), **result.states}
    all_epochs = result.trials * result.epochs
    lines = [*best_graph(result), ""]
    if result.front:
        lines.append(front_text(result))
    lines += [*fitting_lines(comparison(result), width), "", *result_notes(result), ""]
    lines.append(
        f"{count(result.trials, 'trial')}: "
        f"{', '.join(f'{number} {state}' for state, number in states.items())}; "
        f"{result.epochs_trained:,} of {all_epochs:,} epochs trained"
    )
    if result.exhausted and plan.search is not None:
        lines.append(exhausted_text(result.trials, plan.search.trials))
    elif plan.search is not None and result.trials < plan.search.trials:
        lines.append(f"the time was up: {result.trials} of {plan.search.trials} trials were begun")
    finished = "already finished: it took" if already else "finished in"
    lines.append(f"{finished} {duration(result.seconds)}, everything is in {result.folder}")
    best = shlex.quote(str(result.folder / "best.ktg"))
    if result.kept:
        kept = shlex.quote(str(result.folder / result.kept[0]))
        lines.append(f"measure its networks as they were trained here: ktgc eval {kept}")
    lines.append(f"train the best graph on all training samples: ktgc run {best}")
    return "\n".join(lines)


def best_graph(result: SearchResult) -> list[str]:
    """Sentences about the best graph and its trial."""
    best = result.best
    value = f"{best.value:.2f} % after {count(best.epochs, 'epoch')}"
    if best.confirmed is not None:
        value = f"{best.confirmed} with further seeds"
    by = f", by {result.objectives[0]}" if result.objectives else ""
    lines = [f"best graph{by}: trial {best.trial}, {value}"]
    if result.tied:
        others = ", ".join(truncated([f"trial {number}" for number in result.tied], MAX_TIED))
        lines.append(f"as good: {others}")
    if result.kept:
        lines.append(f"networks are kept, the best first: {', '.join(result.kept)}")
    if not result.complete:
        lines.append("no trial was trained to the end: it is the leader of the highest rung")
    return lines


def comparison(result: SearchResult) -> list[tuple[str, ...]]:
    """The best graphs and the baselines; a column for further seeds where there are some."""
    confirmed = any(each.confirmed for each in result.finalists)
    head = ("in the search", "further seeds", "graph") if confirmed else (result.metric, "graph")
    no_search_value = ("-",) if confirmed else ()
    rows: list[tuple[str, ...]] = [("", *head)]
    for each in result.finalists:
        further = (str(each.confirmed or "-"),) if confirmed else ()
        rows.append((f"trial {each.trial}", _search_value(each, result), *further, each.spec))
    for name, score in result.baselines.items():
        rows.append((name, *no_search_value, str(score), ""))
    listed = {row[0] for row in rows}
    for missing in result.unjudged:
        if missing.name not in listed:
            listed.add(missing.name)
            rows.append((missing.name, *no_search_value, _without_place(missing.reason), ""))
    return with_front(result, rows) if result.front else rows


def _without_place(reason: str) -> str:
    """The reason of a failure up to its colon: what happened, without where."""
    return one_line(reason.partition(":")[0])


def _search_value(finalist: Finalist, result: SearchResult) -> str:
    early = "" if finalist.epochs == result.epochs else f" (epoch {finalist.epochs})"
    return f"{finalist.value:.2f} %{early}"


def result_notes(result: SearchResult) -> Iterator[str]:
    """Notes on the accuracies of a search and their uncertainty, a sentence a line."""
    images = count(result.samples, f"{result.judged_on} image")
    yield f"{result.objective} after {count(result.epochs, 'epoch')} on {images}"
    if result.metric == "accuracy":
        yield f"a difference of {result.step:.3g} % is one image"
    best = result.best.value if result.best.confirmed is None else result.best.confirmed.mean
    for name, score in result.baselines.items():
        if score.mean >= best:
            yield f"the best graph is no better than this one: {name}"
    for missing in result.unjudged:
        yield f"without a value: {check_text(missing.name, missing.seed, missing.reason)}"
    further = [each.confirmed for each in result.finalists if each.confirmed is not None]
    if any(score.std is None for score in [*result.baselines.values(), *further]):
        yield "a single training has no spread, so nobody knows how much of it is chance"
    if not further:
        yield "the best was chosen on these images, so expect less of it on others"
        yield "`confirm = 5` in the search block trains the best three with further seeds"
