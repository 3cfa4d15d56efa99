"""A run in a terminal: a live table of its nodes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ktgdsl.plan.model import DerivedNode, Graph, Node, Plan
from ktgdsl.report.formatting import Clock, duration, shortened, step_rate
from ktgdsl.report.run_progress import RunProgress
from ktgdsl.report.run_text import (
    accuracy_columns,
    early_stop_lines,
    last_line,
    network_text,
    pretrained_text,
    role,
    stopped_text,
    targets_first,
)
from ktgdsl.training.events import (
    EpochDone,
    Event,
    Listener,
    PretrainDone,
    PretrainStarted,
    RunFinished,
    RunStarted,
)
from ktgdsl.training.result import RunResult

NARROW = 68
"""Terminals of fewer columns are shown less."""


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
                self._console.print(line, highlight=False, markup=False)
        if isinstance(event, RunFinished):
            narrow = self._console.width < NARROW
            self._draw(_result_table(event.plan, event.result, event.already, narrow))
            self.close()
        elif self._progress is not None:
            for line in _notes(event, self._progress):
                self._console.print(line, highlight=False, markup=False)
            self._progress(event)
            self._draw(_progress_table(self._progress, self._console.width))

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


def _notes(event: Event, progress: RunProgress) -> list[str]:
    """What is worth a line that stays."""
    if isinstance(event, PretrainStarted) and event.reason:
        return [f"{event.node} is trained on the labels first: {event.reason}"]
    if isinstance(event, EpochDone) and event.stopped and progress.pretraining is None:
        return [stopped_text(event)]
    return [pretrained_text(event)] if isinstance(event, PretrainDone) else []


def _progress_table(progress: RunProgress, width: int) -> RenderableType:
    narrow = width < NARROW
    title = _title(progress, width)
    return Group(title, _bar(progress, narrow), Text(), _nodes(progress, narrow))


def _title(progress: RunProgress, width: int) -> Text:
    plan = progress.plan
    source = f"  {plan.data.source.name}, {progress.device}  into {progress.folder}"
    return title_line(plan.graph.name, source, width)


def title_line(name: str, rest: str, width: int) -> Text:
    """The name of a graph and what is done with it, in one line of a terminal."""
    title = Text(shortened(name + rest, width), style="dim", no_wrap=True, overflow="ellipsis")
    title.stylize("bold not dim", 0, len(name))
    return title


def _bar(progress: RunProgress, narrow: bool) -> RenderableType:
    total = str(progress.epochs)
    epoch = min(progress.epoch + 1, progress.epochs)
    words = [f"epoch {epoch:>{len(total)}}/{total}"]
    if phase := progress.phase:
        words.insert(0, f"phase {phase}")
    width = 20
    if progress.pretraining is not None:
        words.insert(0, f"pre-training {progress.pretraining}")
        width = 8  # the words need the room: a terminal has 80 columns
    elif progress.plan.train.repeats > 1:
        words.insert(0, f"repeat {progress.repeat}/{progress.plan.train.repeats}")
    rate, left = progress.rate, progress.seconds_left
    cells: list[RenderableType] = [
        "  ".join(words),
        # As wide as it gets, so that nothing moves when a number has a digit more.
        Text(("" if rate is None else step_rate(rate)).ljust(12), style="cyan"),
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


def _nodes(progress: RunProgress, narrow: bool) -> Table:
    graph = progress.plan.graph
    headings = ("node",) if narrow else _NODE_HEADINGS
    table = _node_table(headings)
    for heading in ("loss", "train", progress.split):
        table.add_column(heading, justify="right", min_width=8, no_wrap=True)
    for node in targets_first(graph):
        table.add_row(
            *_node_cells(graph, node)[: len(headings)],
            _number(progress.loss, node.name, ".4f"),
            _number(progress.train_accuracy, node.name, ".2f", " %"),
            _number(progress.accuracy, node.name, ".2f", " %", style="bold"),
        )
    return table


_NODE_HEADINGS = ("node", "role", "network")


def _node_table(headings: tuple[str, ...]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, no_wrap=True, max_width=24)
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


def _result_table(plan: Plan, result: RunResult, already: bool, narrow: bool) -> RenderableType:
    headings = _NODE_HEADINGS[:1] if narrow else _NODE_HEADINGS
    table = _node_table(headings)
    columns = accuracy_columns(plan, result)
    for heading, *_ in columns:
        table.add_column(heading, no_wrap=not narrow)
    for row, node in enumerate(targets_first(plan.graph), start=1):
        cells = (Text(column[row], style="bold") for column in columns)
        table.add_row(*_node_cells(plan.graph, node)[: len(headings)], *cells)
    notes = [*early_stop_lines(result), last_line(result, already)]
    return Group(table, Text(), *(Text(line, style="dim") for line in notes))
