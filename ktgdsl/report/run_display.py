"""A run in a terminal: a live table of its nodes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ktgdsl.plan.model import DerivedNode, Graph, Node, Plan
from ktgdsl.report.formatting import Clock, duration, step_rate, wrapped
from ktgdsl.report.narrow import BETWEEN, blocks, fitting_columns, fitting_parts
from ktgdsl.report.run_progress import RunProgress
from ktgdsl.report.run_text import (
    accuracy_columns,
    discarded_text,
    early_stop_lines,
    epoch_cells,
    head_lines,
    last_line,
    network_text,
    pretrained_text,
    role,
    run_warnings,
    stopped_text,
    targets_first,
)
from ktgdsl.training.events import (
    EpochDone,
    Event,
    Listener,
    Measured,
    PretrainDone,
    PretrainStarted,
    RunDiscarded,
    RunFinished,
    RunStarted,
)
from ktgdsl.training.result import RunResult

RATE_WIDTH, LEFT_WIDTH = 12, 16
"""Columns of the rate and of the time left, as wide as they get: nothing moves then."""

NAME_WIDTH, NUMBER_WIDTH, GAP = 24, 8, 3
"""Columns of a name at most, of a number at least, and between two of them."""


@contextmanager
def terminal_run_listener(
    console: Console | None = None, clock: Clock = time.monotonic
) -> Iterator[Listener]:
    """A listener that keeps a table up to date in the terminal, and leaves the result there.

    As a context manager it gives the terminal back however the run ends.
    """
    display = _RunDisplay(console or Console(), clock)
    try:
        yield display
    finally:
        display.close()


class _RunDisplay:
    """Draws only when an event comes: no thread of its own takes time from the training."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._progress: RunProgress | None = None
        self._live: Live | None = None
        self._size = console.size

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._progress = RunProgress(event, self._clock)
            for line in (*event.notes, *event.chosen):
                print_lasting(self._console, line)
        if isinstance(event, RunFinished):
            width = self._console.width
            if not event.already:
                print_lasting(self._console, "")  # between the epochs and the table
            self._draw(result_view(event.plan, event.result, event.already, width))
            self.close()
        elif self._progress is not None:
            for line in lasting_lines(event, self._progress):
                print_lasting(self._console, line)
            self._progress(event)
            if isinstance(event, EpochDone):
                first, *cells = epoch_cells(self._progress, event)
                line = fitting_parts([first, *(f"  {cell}" for cell in cells)], self._console.width)
                self._console.print(line, style="dim", highlight=False, markup=False)
            self._draw(progress_view(self._progress, self._console.width))

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
        """Stop drawing; what is drawn stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def print_lasting(console: Console, line: str) -> None:
    """Print a line that stays above what is drawn, broken at words."""
    console.print(Text(wrapped(line, console.width)), soft_wrap=True)


def lasting_lines(event: Event, progress: RunProgress) -> list[str]:
    """The lines for an event that stay above the table."""
    if isinstance(event, PretrainStarted):
        return [*run_warnings(event)]
    if isinstance(event, RunDiscarded):
        return [discarded_text(event)]
    if isinstance(event, EpochDone) and event.stopped and progress.pretraining is None:
        return [stopped_text(event)]
    return [pretrained_text(event)] if isinstance(event, PretrainDone) else []


def progress_view(progress: RunProgress, width: int) -> RenderableType:
    """A run that is under way, in so many columns."""
    return Group(_title(progress, width), _bar(progress, width), Text(), _nodes(progress, width))


def _title(progress: RunProgress, width: int) -> Text:
    plan = progress.plan
    parts = [f"  {plan.data.source}, {progress.device}", f"  into {progress.folder}"]
    return title_line(plan.graph.name, parts, width)


def title_line(name: str, parts: Sequence[str], width: int) -> Text:
    """The name of a graph and what is done with it, in one line of a terminal."""
    line = fitting_parts([name, *parts], width)
    title = Text(line, style="dim", no_wrap=True, overflow="ellipsis")
    title.stylize("bold not dim", 0, len(name))
    return title


def _bar(progress: RunProgress, width: int) -> RenderableType:
    """The epoch, a bar, the rate and the time left; in a narrow terminal less of them."""
    total = str(progress.epochs)
    epoch = min(progress.epoch + 1, progress.epochs)
    words = [f"epoch {epoch:>{len(total)}}/{total}"]
    if phase := progress.phase:
        words.insert(0, f"phase {phase}")
    bar_width = 20
    if progress.pretraining is not None:
        words.insert(0, f"pre-training {progress.pretraining}")
        bar_width = 8  # the words need the room: a terminal has 80 columns
    elif progress.plan.train.repeats > 1:
        words.insert(0, f"repeat {progress.repeat}/{progress.plan.train.repeats}")
    rate, left = progress.rate, progress.seconds_left
    bar = ProgressBar(total=progress.steps, completed=progress.steps_done, width=bar_width)
    # As wide as they get, so that nothing moves when a number has a digit more.
    cells: list[tuple[RenderableType, int]] = [
        *((Text(word), len(word)) for word in words),
        (bar, bar_width),
        (Text("" if rate is None else step_rate(rate), style="cyan"), RATE_WIDTH),
        (Text("" if left is None else f"{duration(left)} left"), LEFT_WIDTH),
    ]
    at_bar = len(words)
    widths = [cell_width + len(BETWEEN) for _, cell_width in cells]
    least_first = [at_bar, at_bar + 1, *range(at_bar - 1)]
    grid = Table.grid(padding=(0, len(BETWEEN), 0, 0), pad_edge=False)
    fitting = fitting_columns(widths, least_first, width + len(BETWEEN))
    for each in fitting:
        grid.add_column(no_wrap=True, min_width=cells[each][1] if each > at_bar else None)
    grid.add_row(*(cells[each][0] for each in fitting))
    return grid


def _nodes(progress: RunProgress, width: int) -> Table:
    graph = progress.plan.graph
    metrics = progress.plan.train.metrics
    numbers = ("loss", "train", progress.split, *metrics)
    rows = [
        [
            *_node_cells(graph, node),
            _number(progress.loss, node.name, ".4f"),
            _number(progress.train_accuracy, node.name, ".2f", " %"),
            _number(progress.accuracy, node.name, ".2f", " %", style="bold"),
            *(_number(_by_node(progress.measured, each), node.name, ".2f") for each in metrics),
        ]
        for node in targets_first(graph)
    ]
    head = (*_NODE_HEADINGS, *numbers)
    fitting = fitting_columns(_widths(head, rows), (2, 1, 4, 3), width + GAP)
    return _table(head, rows, fitting, "right")


def _by_node(measured: Measured, metric: str) -> dict[str, float]:
    return {node: each[metric] for node, each in measured.items() if metric in each}


_NODE_HEADINGS = ("node", "role", "network")


def _widths(head: Sequence[str], rows: Sequence[Sequence[Text]]) -> list[int]:
    """The widths of columns, gaps included: names have a maximum, and numbers a minimum."""
    widths = []
    for column, cells in enumerate(zip(head, *rows, strict=True)):
        needed = max(map(len, cells))
        name = column < len(_NODE_HEADINGS)
        widths.append(GAP + (min(needed, NAME_WIDTH) if name else max(needed, NUMBER_WIDTH)))
    return widths


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[Text]],
    fitting: Sequence[int],
    justify: Literal["left", "right"],
) -> Table:
    """The columns that fit; what is measured of a node is justified like that."""
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for column in fitting:
        if column < len(_NODE_HEADINGS):
            table.add_column(head[column], no_wrap=True, max_width=NAME_WIDTH)
        else:
            table.add_column(head[column], justify=justify, min_width=NUMBER_WIDTH, no_wrap=True)
    for row in rows:
        table.add_row(*(row[column] for column in fitting))
    return table


def _node_cells(graph: Graph, node: Node | DerivedNode) -> list[Text]:
    """The cells under `_NODE_HEADINGS`."""
    its_role = role(graph, node)
    return [
        Text(node.name, style=_ROLE_STYLES[its_role]),
        Text(its_role, style="dim"),
        Text(network_text(node), style="dim"),
    ]


_ROLE_STYLES = {"target": "bold green", "auxiliary": "", "frozen": "blue"}


def _number(
    values: Mapping[str, float], node: str, spec: str, unit: str = "", style: str = ""
) -> Text:
    if node not in values:
        return Text("-", style="dim")
    return Text(f"{values[node]:{spec}}{unit}", style=style)


def result_view(plan: Plan, result: RunResult, already: bool, width: int) -> RenderableType:
    """The result of a run, in so many columns."""
    measured = accuracy_columns(plan, result)
    head = (*_NODE_HEADINGS, *(heading for heading, *_ in measured))
    rows = [
        [*_node_cells(plan.graph, node), *(Text(each[row], style="bold") for each in measured)]
        for row, node in enumerate(targets_first(plan.graph), start=1)
    ]
    widths = _widths(head, rows)
    fitting = fitting_columns(widths, (2, 1), width + GAP)
    table: RenderableType = _table(head, rows, fitting, "left")
    if sum(widths[column] for column in fitting) > width + GAP:
        lines = [[row[0].plain, *(cell.plain for cell in row[3:])] for row in rows]
        names = [name.removesuffix(" accuracy") for name in head[3:]]
        table = Text("\n".join(["accuracy", *blocks(["node", *names], lines, width)]))
    notes = [*head_lines(plan, result), *early_stop_lines(result), last_line(result, already)]
    return Group(table, Text(), Text(wrapped("\n".join(notes), width), style="dim"))
