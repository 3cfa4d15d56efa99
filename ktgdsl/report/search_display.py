"""A search as it goes, for people: a live view in a terminal, plain lines anywhere else."""

import math
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from ktgdsl.plan.model import Plan
from ktgdsl.report.describe import columns
from ktgdsl.report.progress import Clock, duration
from ktgdsl.report.search_progress import (
    STATES,
    SearchProgress,
    count,
    exhausted,
    flat,
    judged,
)
from ktgdsl.report.search_view import cut, view
from ktgdsl.searching.events import (
    BestFound,
    CheckDone,
    CheckStarted,
    Event,
    Exhausted,
    Listener,
    SearchFinished,
    SearchStarted,
    TrialEnded,
    WorkerLost,
)
from ktgdsl.searching.result import Finalist, SearchResult

SECOND = 1.0
"""Seconds between two plain lines about trials, at least."""

MOST = 6
"""How many edges a plain line has before the rest is only counted."""

Row = tuple[str, ...]


def plain_search_listener(
    write: Callable[[str], object], clock: Clock = time.monotonic
) -> Listener:
    """A listener that gives `write` a line, without its end, for what is worth one.

    Trials that end within a second share a line: it says how many are over.
    """
    lines: _Lines | None = None

    def listen(event: Event) -> None:
        nonlocal lines
        if isinstance(event, SearchStarted):
            lines = _Lines(SearchProgress(event, clock), write)
        elif lines is not None:
            lines(event)
        if isinstance(event, SearchFinished):
            for line in search_text(event.plan, event.result, already=event.already).splitlines():
                write(line)

    return listen


class _Lines:
    """What there is to say while a search is under way."""

    def __init__(self, progress: SearchProgress, write: Callable[[str], object]) -> None:
        self._progress, self._write = progress, write
        self._told = -math.inf
        self._untold: TrialEnded | None = None
        write(_headline(progress))

    def __call__(self, event: Event) -> None:
        progress = self._progress
        first_check = isinstance(event, CheckStarted) and not progress.checks
        if isinstance(event, CheckStarted | SearchFinished):
            self._tell()
        progress(event)
        if isinstance(event, TrialEnded):
            self._untold = event
            if progress.clock() - self._told >= SECOND or progress.done == progress.total:
                self._tell()
        match event:
            case BestFound():
                edges = "; ".join(cut(progress.edges, MOST))
                self._write(f"new best: {event.value:.2f} %, trial {event.trial}: {edges}")
            case CheckStarted() if first_check:
                trainings = count(event.of - event.done, "training")
                self._write(f"the trials are over, {trainings} to judge the result")
            case CheckDone():
                self._write(_judged(progress, event))
            case WorkerLost() | Exhausted():
                self._write(f"warning: {progress.warning}")

    def _tell(self) -> None:
        if self._untold is not None:
            self._write(_line(self._progress, self._untold))
            self._told, self._untold = self._progress.clock(), None


def _headline(progress: SearchProgress) -> str:
    started, plan = progress.started, progress.plan
    going_on = f", going on after {count(started.done, 'trial')}" if started.done else ""
    return (
        f"{plan.graph.name}: {count(started.trials, 'trial')} of up to "
        f"{count(started.epochs, 'epoch')} for {progress.target} on {plan.data.source.name}, "
        f"{count(started.workers, 'worker')}, into {started.folder}{going_on}"
    )


def _line(progress: SearchProgress, ended: TrialEnded) -> str:
    value = "" if ended.value is None else f" at {ended.value:.2f} %"
    reason = f": {flat(ended.reason)}" if ended.reason else ""
    cells = [f"{progress.done}/{progress.total} trials", *progress.counts]
    cells.append(f"trial {ended.trial} {ended.state} after epoch {ended.epochs}{value}{reason}")
    if progress.left is not None:
        cells.append(f"about {duration(progress.left)} left")
    return "  ".join(cells)


def _judged(progress: SearchProgress, event: CheckDone) -> str:
    found = event.reason if event.value is None else f"{event.value:.2f} %"
    cells = [f"judging {event.done}/{event.of}", judged(event.name, event.seed, found)]
    if progress.left:
        cells.append(f"about {duration(progress.left)} left")
    return "  ".join(cells)


def search_text(plan: Plan, result: SearchResult, *, already: bool = False) -> str:
    """The result of a search as plain lines: the best graph, what it compares with, the cost."""
    states = {**dict.fromkeys(STATES, 0), **result.states}
    full = result.trials * result.epochs
    lines = [*_winner(result), "", *columns(_compared(result)), "", *_notes(result), ""]
    lines.append(
        f"{count(result.trials, 'trial')}: "
        f"{', '.join(f'{number} {state}' for state, number in states.items())}; "
        f"{result.epochs_trained:,} of {full:,} epochs trained"
    )
    if result.exhausted and plan.search is not None:
        lines.append(exhausted(result.trials, plan.search.trials))
    said = "already finished, in" if already else "finished in"
    lines.append(f"{said} {duration(result.seconds)}, everything is in {result.folder}")
    best = shlex.quote(str(result.folder / "best.ktg"))
    lines.append(f"train the best graph on all training samples: ktgc run {best}")
    return "\n".join(lines)


def _winner(result: SearchResult) -> list[str]:
    best = result.best
    found = f"{best.value:.2f} % after {count(best.epochs, 'epoch')}"
    if best.confirmed is not None:
        found = f"{best.confirmed} with further seeds"
    lines = [f"best graph: trial {best.trial}, {found}"]
    if not result.complete:
        lines.append("no trial was trained to the end: it is the leader of the highest rung")
    return lines


def _compared(result: SearchResult) -> list[Row]:
    """The best graphs and the baselines; a column for further seeds where there are some."""
    confirmed = any(each.confirmed for each in result.finalists)
    head = ("in the search", "further seeds", "graph") if confirmed else ("accuracy", "graph")
    rows: list[Row] = [("", *head)]
    for each in result.finalists:
        further = (str(each.confirmed or "-"),) if confirmed else ()
        rows.append((f"trial {each.trial}", _found(each, result), *further, each.spec))
    for name, score in result.baselines.items():
        rows.append((name, *(("-",) if confirmed else ()), str(score), ""))
    told = {row[0] for row in rows}
    for missing in result.unjudged:
        if missing.name not in told:
            told.add(missing.name)
            rows.append((missing.name, *(("-",) if confirmed else ()), _short(missing.reason), ""))
    return rows


def _short(reason: str) -> str:
    """That a training diverged, and when, without where."""
    return flat(reason.partition(":")[0])


def _found(finalist: Finalist, result: SearchResult) -> str:
    early = "" if finalist.epochs == result.epochs else f" (epoch {finalist.epochs})"
    return f"{finalist.value:.2f} %{early}"


def _notes(result: SearchResult) -> Iterator[str]:
    images = count(result.validation_samples, "validation image")
    yield f"accuracy of {result.target} after {count(result.epochs, 'epoch')} on {images}"
    yield f"a difference of {result.step:.3g} % is one image"
    for missing in result.unjudged:
        yield f"without a value: {judged(missing.name, missing.seed, missing.reason)}"
    further = [each.confirmed for each in result.finalists if each.confirmed is not None]
    if any(score.std is None for score in [*result.baselines.values(), *further]):
        yield "a single training has no spread, so nobody knows how much of it is chance"
    if not further:
        yield "the best was chosen on these images, so expect less of it on others;"
        yield "`confirm = 5` in the search block trains the best three with further seeds"


@contextmanager
def terminal_search_listener(
    console: Console | None = None, clock: Clock = time.monotonic
) -> Iterator[Listener]:
    """A listener that keeps a view up to date in the terminal, and leaves the result there.

    As a context manager it gives the terminal back however the search ends.
    """
    screen = _Screen(console or Console(), clock)
    try:
        yield screen
    finally:
        screen.close()


class _Screen:
    """Draws now and then in a thread of its own: the trials are trained in other processes."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console, self._clock = console, clock
        self._progress: SearchProgress | None = None
        self._live: Live | None = None
        self._size = console.size
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, SearchStarted):
            self._progress = SearchProgress(event, self._clock)
            self._open()
        elif isinstance(event, SearchFinished):
            self.close(erase=True)
            text = search_text(event.plan, event.result, already=event.already)
            self._console.print(Text(text), soft_wrap=True)
        elif self._progress is not None:
            with self._lock:
                self._progress(event)
            if self._live is not None and self._console.size != self._size:
                # The terminal has laid out the old lines anew, so nobody knows where they are.
                self.close()
                self._console.clear()
                self._open()

    def _open(self) -> None:
        self._size = self._console.size
        self._live = Live(get_renderable=self._view, console=self._console, refresh_per_second=2)
        self._live.start(refresh=True)

    def close(self, *, erase: bool = False) -> None:
        """Stops drawing; what is drawn stays unless it is to be erased."""
        if self._live is not None:
            self._live.transient = erase
            self._live.stop()
            self._live = None

    def _view(self) -> RenderableType:
        assert self._progress is not None
        with self._lock:
            return view(self._progress, *self._console.size)
