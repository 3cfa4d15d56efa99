"""A run as it goes, for people: a live table in a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ktgdsl.plan.model import Graph, Node, Plan
from ktgdsl.report.progress import Clock, Progress, duration, in_order, pace, role
from ktgdsl.training.events import (
    EpochDone,
    Event,
    Listener,
    PretrainStarted,
    RepeatStarted,
    RunFinished,
    RunStarted,
)
from ktgdsl.training.result import RunResult
from ktgdsl.vocabulary.networks import shortest

NARROW = 68
"""Columns of a terminal below which what can be done without is left out."""


def plain_listener(write: Callable[[str], object], clock: Clock = time.monotonic) -> Listener:
    """A listener that gives `write` one line, without its end, per epoch, and the result."""
    progress: Progress | None = None

    def listen(event: Event) -> None:
        nonlocal progress
        if isinstance(event, RunStarted):
            progress = Progress(event, clock)
            for line in (_headline(event), *event.chosen):
                write(line)
        elif isinstance(event, RunFinished):
            for line in result_text(event.plan, event.result, already=event.already).splitlines():
                write(line)
        elif progress is not None:
            progress(event)
            if isinstance(event, RepeatStarted) and progress.plan.train.repeats > 1:
                write(f"repeat {event.repeat}/{progress.plan.train.repeats}, seed {event.seed}")
            elif isinstance(event, PretrainStarted):
                write(f"{event.node} is frozen: it is trained on the labels first")
            elif isinstance(event, EpochDone):
                write(_line(progress))

    return listen


def _headline(started: RunStarted) -> str:
    plan = started.plan
    going_on = ""
    if (started.repeat, started.epoch) != (1, 0):
        of = f" of repeat {started.repeat}" if plan.train.repeats > 1 else ""
        going_on = f", going on after epoch {started.epoch}{of}"
    return (
        f"{plan.graph.name}: {plan.train.epochs} epochs of {plan.data.steps_per_epoch} steps "
        f"on {plan.data.source.name}, {started.device}, into {started.folder}{going_on}"
    )


def _line(progress: Progress) -> str:
    """One epoch. The loss is that of the first target, or of the node that is pre-trained."""
    names = [node.name for node in in_order(progress.plan.graph)]
    measured = [name for name in names if name in progress.accuracy]
    cells = [f"epoch {progress.epoch:>{len(str(progress.epochs))}}/{progress.epochs}"]
    if progress.pretraining is not None:
        cells.insert(0, f"pre-training {progress.pretraining}:")
    cells += [f"{name} {progress.accuracy[name]:.1f} %" for name in measured]
    cells.append(f"loss {progress.loss[measured[0]]:.3f}")
    if progress.rate is not None:
        cells.append(pace(progress.rate))
    if progress.left:
        cells.append(f"{duration(progress.left)} left")
    return "  ".join(cells)


def result_text(plan: Plan, result: RunResult, *, already: bool = False) -> str:
    """The result of a run as plain lines: what was reached, and where it lies."""
    nodes = in_order(plan.graph)
    columns = [
        ["node", *(node.name for node in nodes)],
        ["role", *(role(plan.graph, node) for node in nodes)],
        ["network", *(shortest(node.network) for node in nodes)],
        *_accuracies(plan, result),
    ]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    lines = ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]
    return "\n".join([*lines, _closing(result, already)])


def _accuracies(plan: Plan, result: RunResult) -> list[list[str]]:
    """A column for each split that was measured, its heading first."""
    nodes = [result.nodes[node.name] for node in in_order(plan.graph)]
    columns = [["test accuracy", *(str(node.accuracy) for node in nodes)]]
    held = [node.validation_accuracy for node in nodes if node.validation_accuracy is not None]
    if held:
        columns.append(["validation accuracy", *map(str, held)])
    return columns


def _closing(result: RunResult, already: bool) -> str:
    said = "already finished, in" if already else "finished in"
    return f"{said} {duration(result.seconds)}, everything is in {result.folder}"


@contextmanager
def terminal_listener(
    console: Console | None = None, clock: Clock = time.monotonic
) -> Iterator[Listener]:
    """A listener that keeps a table up to date in the terminal, and leaves the result there.

    As a context manager it gives the terminal back however the run ends.
    """
    screen = _Screen(console or Console(), clock)
    try:
        yield screen
    finally:
        screen.close()


class _Screen:
    """Draws only when an event comes: no thread of its own takes time from the training."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._progress: Progress | None = None
        self._live: Live | None = None
        self._size = console.size

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._progress = Progress(event, self._clock)
            for line in event.chosen:
                self._console.print(line, highlight=False, markup=False)
        if isinstance(event, RunFinished):
            self._draw(_result_table(event.plan, event.result, event.already))
            self.close()
        elif self._progress is not None:
            self._progress(event)
            self._draw(_progress_table(self._progress, narrow=self._console.width < NARROW))

    def _draw(self, table: RenderableType) -> None:
        if self._live is not None and self._console.size != self._size:
            # The terminal has laid out the old lines anew, so nobody knows where they are.
            self.close()
            self._console.clear()
        self._size = self._console.size
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Stops drawing; what is drawn stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _progress_table(progress: Progress, *, narrow: bool) -> RenderableType:
    return Group(_title(progress), _bar(progress, narrow), Text(), _nodes(progress, narrow))


def _title(progress: Progress) -> Text:
    plan = progress.plan
    title = Text(no_wrap=True, overflow="ellipsis")
    title.append(plan.graph.name, style="bold")
    title.append(f"  {plan.data.source.name}, {progress.device}", style="dim")
    title.append(f"  into {progress.folder}", style="dim")
    return title


def _bar(progress: Progress, narrow: bool) -> RenderableType:
    total = str(progress.epochs)
    words = [f"epoch {min(progress.epoch + 1, progress.epochs):>{len(total)}}/{total}"]
    width = 20
    if progress.pretraining is not None:
        words.insert(0, f"pre-training {progress.pretraining}")
        width = 8  # the words need the room: a terminal has 80 columns
    elif progress.plan.train.repeats > 1:
        words.insert(0, f"repeat {progress.repeat}/{progress.plan.train.repeats}")
    rate, left = progress.rate, progress.left
    cells: list[RenderableType] = [
        "  ".join(words),
        # As wide as it gets, so that nothing moves when a number has a digit more.
        Text(("" if rate is None else pace(rate)).ljust(12), style="cyan"),
        Text("" if left is None else f"{duration(left)} left"),
    ]
    if not narrow:
        bar = ProgressBar(total=progress.steps, completed=progress.steps_done, width=width)
        cells.insert(1, bar)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in cells:
        grid.add_column(no_wrap=True)
    grid.add_row(*cells)
    return grid


def _nodes(progress: Progress, narrow: bool) -> Table:
    graph = progress.plan.graph
    about = ("node",) if narrow else _ABOUT
    table = _table(about)
    for heading in ("loss", "train", progress.split):
        table.add_column(heading, justify="right", min_width=8, no_wrap=True)
    for node in in_order(graph):
        table.add_row(
            *_about(graph, node)[: len(about)],
            _number(progress.loss, node.name, ".4f"),
            _number(progress.train, node.name, ".2f", " %"),
            _number(progress.accuracy, node.name, ".2f", " %", style="bold"),
        )
    return table


_ABOUT = ("node", "role", "network")


def _table(about: tuple[str, ...]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for heading in about:
        table.add_column(heading, no_wrap=True, max_width=24)
    return table


def _about(graph: Graph, node: Node) -> list[Text]:
    its_role = role(graph, node)
    return [
        Text(node.name, style=_STYLE[its_role]),
        Text(its_role, style="dim"),
        Text(shortest(node.network), style="dim"),
    ]


_STYLE = {"target": "bold green", "auxiliary": "", "frozen": "blue"}


def _number(
    values: Mapping[str, float], name: str, form: str, unit: str = "", style: str = ""
) -> Text:
    if name not in values:
        return Text("-", style="dim")
    return Text(f"{values[name]:{form}}{unit}", style=style)


def _result_table(plan: Plan, result: RunResult, already: bool) -> RenderableType:
    table = _table(_ABOUT)
    columns = _accuracies(plan, result)
    for heading, *_ in columns:
        table.add_column(heading, no_wrap=True)
    for row, node in enumerate(in_order(plan.graph), start=1):
        cells = (Text(column[row], style="bold") for column in columns)
        table.add_row(*_about(plan.graph, node), *cells)
    return Group(table, Text(), Text(_closing(result, already), style="dim"))
