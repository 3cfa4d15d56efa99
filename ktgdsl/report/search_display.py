"""A search as it goes, for people: a live view in a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ktgdsl.plan.model import Plan
from ktgdsl.plan.spelled import edge_lines
from ktgdsl.report.progress import Clock, duration
from ktgdsl.report.search_progress import SearchProgress
from ktgdsl.searching.events import (
    BestFound,
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
from ktgdsl.vocabulary.networks import shortest

SECOND = 1.0
"""Seconds between two plain lines about trials, at least."""

MOST = 8
"""How many trials or edges are listed before the rest is only counted."""


def plain_search_listener(
    write: Callable[[str], object], clock: Clock = time.monotonic
) -> Listener:
    """A listener that gives `write` a line, without its end, for what is worth one."""
    progress: SearchProgress | None = None
    told = 0.0

    def listen(event: Event) -> None:
        nonlocal progress, told
        if isinstance(event, SearchStarted):
            progress, told = SearchProgress(event, clock), clock()
            write(_headline(event))
            return
        if isinstance(event, SearchFinished):
            for line in search_text(event.plan, event.result, already=event.already).splitlines():
                write(line)
            return
        if progress is None:
            return
        progress(event)
        match event:
            case TrialEnded():
                if clock() - told >= SECOND or progress.done == progress.started.trials:
                    told = clock()
                    write(_line(progress, event))
            case BestFound():
                graph = "; ".join(_edges(event.plan, MOST))
                write(f"best so far: {event.value:.2f} % by trial {event.trial}, {graph}")
            case CheckStarted(done=0):
                write(f"{event.of} trainings judge the result")
            case WorkerLost():
                write(f"trial {event.trial} lost a worker, attempt {event.attempt}: {event.reason}")
            case Exhausted():
                write(_exhausted(event.found, event.trials))

    return listen


def _headline(started: SearchStarted) -> str:
    plan = started.plan
    going_on = f", going on after {started.done} trials" if started.done else ""
    workers = f"{started.workers} worker{'s' * (started.workers > 1)}"
    return (
        f"{plan.graph.name}: {started.trials} trials of up to {started.epochs} epochs on "
        f"{plan.data.source.name}, {workers}, into {started.folder}{going_on}"
    )


def _line(progress: SearchProgress, ended: TrialEnded) -> str:
    value = "" if ended.value is None else f" at {ended.value:.1f} %"
    cells = [
        f"{progress.done}/{progress.started.trials} trials",
        f"trial {ended.trial} {ended.state} after epoch {ended.epochs}{value}",
    ]
    if ended.reason:
        cells.append(ended.reason)
    if progress.left:
        cells.append(f"{duration(progress.left)} left")
    return "  ".join(cells)


def _edges(plan: Plan, most: int) -> list[str]:
    """The edges of a graph, a line each."""
    edges = edge_lines(plan)
    if len(edges) > most:
        edges = [*edges[: most - 1], f"and {len(edges) - most + 1} more"]
    return edges


def _exhausted(found: int, trials: int) -> str:
    return f"the space has no further graph: {found} of {trials} trials could be made"


def search_text(plan: Plan, result: SearchResult, *, already: bool = False) -> str:
    """The result of a search as plain lines: the best graphs, baselines, and what they mean."""
    lines = [*_finalists(result), ""]
    lines += [f"{name}: {score}" for name, score in result.baselines.items()]
    epochs = f"after {result.epochs} epochs on {result.validation_samples:,} validation images"
    lines.append(f"all {epochs}, of which one is {result.step:.2f} %")
    if not any(finalist.confirmed for finalist in result.finalists):
        lines.append(
            "the best was chosen on these images, so it will be less on new ones; "
            "`confirm = 5` in the search block retrains the best three"
        )
    if not result.complete:
        lines.append("no trial was trained to the end: the first is the leader of the highest rung")
    lines.append("")
    states = ", ".join(f"{count} {state}" for state, count in result.states.items())
    full = result.trials * result.epochs
    share = f"{result.epochs_trained:,} of {full:,} epochs trained"
    lines.append(f"{result.trials} trials: {states}; {share}")
    if result.exhausted and plan.search is not None:
        lines.append(_exhausted(result.trials, plan.search.trials))
    said = "already finished, in" if already else "finished in"
    lines.append(f"{said} {duration(result.seconds)}, everything is in {result.folder}")
    lines.append(f"train the best on all training samples: ktgc run {result.folder}/best.ktg")
    return "\n".join(lines)


def _finalists(result: SearchResult) -> Iterator[str]:
    for place, each in enumerate(result.finalists):
        name = "best" if place == 0 else f"{place + 1}."
        yield f"{name:<5} {_value(each)}  trial {each.trial}, {result.folder}/{each.spec}"


def _value(finalist: Finalist) -> str:
    if finalist.confirmed is None:
        return f"{finalist.value:.2f} %"
    return f"{finalist.confirmed} with further seeds ({finalist.value:.2f} % in the search)"


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
    def __init__(self, console: Console, clock: Clock) -> None:
        self.console, self.clock = console, clock
        self.progress: SearchProgress | None = None
        self.live: Live | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, SearchStarted):
            self.progress = SearchProgress(event, self.clock)
            self.live = Live(
                get_renderable=self.view, console=self.console, refresh_per_second=4, transient=True
            )
            self.live.start()
        elif isinstance(event, SearchFinished):
            self.close()
            text = search_text(event.plan, event.result, already=event.already)
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif self.progress is not None:
            self.progress(event)
            if isinstance(event, WorkerLost | Exhausted) and self.live is not None:
                plain = plain_note(event)
                self.live.console.print(plain, markup=False, highlight=False)

    def close(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def view(self) -> RenderableType:
        progress = self.progress
        if progress is None:
            return Text("")
        parts: list[RenderableType] = [
            Text(_headline(progress.started), overflow="ellipsis", no_wrap=True),
            _bar(progress),
            Text(""),
            _ladder(progress),
        ]
        if progress.running:
            parts += [Text(""), _running(progress)]
        if progress.check is not None:
            check = progress.check
            told = f"judging the result: {check.name}, {check.of} trainings in all"
            parts += [Text(""), Text(told, overflow="ellipsis", no_wrap=True)]
        if progress.best is not None:
            parts += [Text(""), *_best(progress.best)]
        return Group(*parts)


def plain_note(event: WorkerLost | Exhausted) -> str:
    """What stays on the screen above the view."""
    if isinstance(event, Exhausted):
        return _exhausted(event.found, event.trials)
    return f"trial {event.trial} lost a worker, attempt {event.attempt}: {event.reason}"


def _bar(progress: SearchProgress) -> RenderableType:
    counts = [f"{progress.done}/{progress.started.trials} trials"]
    counts += [f"{count} {state}" for state, count in sorted(progress.ended.items())]
    elapsed = duration(progress.clock() - progress.began)
    left = "-" if progress.left is None else duration(progress.left)
    told = Text(f"{', '.join(counts)}  {elapsed}, {left} left", overflow="ellipsis", no_wrap=True)
    table = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=progress.started.trials, completed=progress.done, width=20)
    table.add_row(bar, told)
    return table


def _ladder(progress: SearchProgress) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for heading in ("rung", "reached", "went on", "best"):
        table.add_column(heading, justify="right", no_wrap=True)
    for epoch, rung in progress.rungs.items():
        best = f"{rung.best:.1f} %" if rung.reached else "-"
        table.add_row(f"epoch {epoch}", str(rung.reached), str(rung.survived), best)
    return table


def _running(progress: SearchProgress) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for heading in ("running", "epoch", "value"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, trial in list(progress.running.items())[:MOST]:
        value = "-" if trial.value is None else f"{trial.value:.1f} %"
        table.add_row(f"trial {number}", f"{trial.epoch}/{progress.started.epochs}", value)
    if (more := len(progress.running) - MOST) > 0:
        table.add_row(f"and {more} more", "", "")
    return table


def _best(best: BestFound) -> list[RenderableType]:
    networks = ", ".join(f"{node.name} {shortest(node.network)}" for node in best.plan.graph.nodes)
    lines = [f"best: {best.value:.2f} % by trial {best.trial}", f"  {networks}"]
    lines += [f"  {edge}" for edge in _edges(best.plan, MOST)]
    return [Text(line, overflow="ellipsis", no_wrap=True) for line in lines]
