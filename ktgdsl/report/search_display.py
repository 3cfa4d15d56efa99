"""A search in a terminal: a live view, cut to the terminal's size."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ktgdsl.plan.model import Graph
from ktgdsl.report.describe import derived_text
from ktgdsl.report.formatting import Clock, count, duration, shortened, wrapped
from ktgdsl.report.narrow import BETWEEN, fitting_columns, fitting_parts
from ktgdsl.report.run_display import print_lasting, title_line
from ktgdsl.report.search_progress import SearchProgress
from ktgdsl.report.search_text import search_result_text, teacher_text
from ktgdsl.searching.events import (
    Event,
    Listener,
    SearchFinished,
    SearchStarted,
    TeacherReady,
)
from ktgdsl.vocabulary.networks import shorthand

BAR_WIDTH = 30
"""Columns of the bar at most, and a quarter of them at least or there is none."""

SIDE_GAP = 4
"""Columns between two tables."""

NARROW, WARNING_LINES = 80, 3
"""Terminals of fewer columns show a warning in so many lines."""

Row = tuple[str, ...]


@contextmanager
def terminal_search_listener(
    console: Console | None = None, clock: Clock = time.monotonic
) -> Iterator[Listener]:
    """A listener that keeps a view up to date in the terminal, and leaves the result there.

    As a context manager it gives the terminal back however the search ends.
    """
    display = _SearchDisplay(console or Console(), clock)
    try:
        yield display
    finally:
        display.close()


class _SearchDisplay:
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
            for line in event.notes:
                print_lasting(self._console, line)
            self._open()
        elif isinstance(event, SearchFinished):
            self.close(erase=True)
            width, already = self._console.width, event.already
            text = search_result_text(event.plan, event.result, already=already, width=width)
            print_lasting(self._console, text)
        elif self._progress is not None:
            if isinstance(event, TeacherReady):
                print_lasting(self._console, teacher_text(event))
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
        """Stop drawing; what is drawn stays unless it is to be erased."""
        if self._live is not None:
            self._live.transient = erase
            self._live.stop()
            self._live = None

    def _view(self) -> RenderableType:
        assert self._progress is not None
        with self._lock:
            return search_view(self._progress, *self._console.size)


def search_view(progress: SearchProgress, width: int, height: int) -> RenderableType:
    """A search in a terminal of `width` columns and `height` lines, the cursor's among them."""
    above = [_title(progress, width), _bar(progress, width), *_counts(progress, width)]
    if progress.last_pruned and not progress.checks:
        above.append(_line(f"last pruned: {progress.last_pruned}", "dim"))
    if progress.warning:
        above += _warning(progress.warning, width)
    above = above[: max(1, height - 1)]
    tables = [table for table in (_rungs(progress), _under_way(progress)) if len(table) > 1]
    if sum(map(_table_width, tables)) + SIDE_GAP * (len(tables) - 1) > width:
        tables = tables[-1:] if progress.checks else tables[:1]
    free = max(0, height - 1 - len(above) - 2)
    needed = len(_best_graph(progress, width, free))
    table_lines = min(max(map(len, tables), default=0), max(free - needed, (free + 1) // 2))
    return Group(
        *above,
        Text(),
        _side_by_side(tables, table_lines, width),
        Text(),
        *_best_graph(progress, width, free - table_lines),
    )


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _warning(warning: str, width: int) -> list[Text]:
    """A warning, cut at a word, in one line or where that is short in a few."""
    most = 1 if width >= NARROW else WARNING_LINES
    first, *rest = wrapped(f"warning: {warning}", width).split("\n")
    lines = [first, *rest[: most - 1]]
    if len(rest) >= most:
        lines[-1] = shortened(f"{lines[-1]} {rest[most - 1].strip()}", width)
    return [_line(line, "yellow") for line in lines]


def _title(progress: SearchProgress, width: int) -> Text:
    started, plan = progress.started, progress.plan
    workers = count(started.workers, "worker")
    what = f"  for {progress.target} on {plan.data.source}, {workers}"
    return title_line(plan.graph.name, [what, f", into {started.folder}"], width)


def _bar(progress: SearchProgress, width: int) -> RenderableType:
    label, done, total = f"{progress.done}/{progress.total} trials", progress.done, progress.total
    if progress.checks:
        done, total = progress.checks_done, progress.checks_total
        label = f"judging {done}/{total}"
    seconds = progress.seconds_left
    # As wide as it gets, so that nothing moves when a number has a digit more.
    elapsed = f"elapsed {duration(progress.elapsed):<12}"
    left = f"left {'-' if seconds is None else f'about {duration(seconds)}'}"
    times = f"{elapsed} {left}"
    bar_width = min(BAR_WIDTH, width - len(label) - len(times) - 4)
    if bar_width < BAR_WIDTH // 4:
        fits = len(label) + len(BETWEEN) + len(times) <= width
        return _line(fitting_parts([label, BETWEEN + (times if fits else left)], width))
    grid = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(total=total, completed=done, width=bar_width)
    grid.add_row(_line(label), bar, _line(times))
    return grid


def _counts(progress: SearchProgress, width: int) -> list[Text]:
    """How many trials are in which state: in several lines where one is too short."""
    counts = list(progress.counts)
    if progress.lost:
        counts.append(f"{count(progress.lost, 'attempt')} lost")
    lines = [""]
    for each in counts:
        longer = f"{lines[-1]}   {each}" if lines[-1] else each
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(each)
    return [_line(line, "cyan") for line in lines]


def _rungs(progress: SearchProgress) -> list[Row]:
    rows: list[Row] = [("after epoch", "reached", "went on", "best")]
    for epoch, rung in progress.rungs.items():
        rows.append((str(epoch), str(rung.reached), str(rung.survived), _percent(rung.best)))
    return rows


def _under_way(progress: SearchProgress) -> list[Row]:
    """The trials that are trained, or once they are over the checks of the result."""
    if progress.checks:
        rows: list[Row] = [("judging the result", "seeds", "")]
        for name, counts in progress.checks.items():
            failed = f"{counts.failed} without a value" if counts.failed else ""
            rows.append((name, f"{counts.done}/{counts.started}", failed))
        return rows
    rows = [("running", "epoch", "value")]
    for number, trial in progress.running.items():
        epoch = f"{trial.epoch}/{progress.started.epochs}"
        rows.append((f"trial {number}", epoch, _percent(trial.value)))
    return rows


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} %"


def _side_by_side(tables: Sequence[Sequence[Row]], lines: int, width: int) -> Table:
    grid = Table.grid(padding=(0, SIDE_GAP, 0, 0), pad_edge=False)
    grid.add_row(*(_table(table, lines, width) for table in tables if lines))
    return grid


def _column_widths(rows: Sequence[Row]) -> list[int]:
    """The widths of a table's columns, each with the gap to the next."""
    return [max(map(len, column)) + len(BETWEEN) for column in zip(*rows, strict=True)]


def _table_width(rows: Sequence[Row]) -> int:
    return sum(_column_widths(rows)) - len(BETWEEN)


def _table(rows: Sequence[Row], lines: int, width: int) -> Table:
    """Rows under a heading in at most `lines` lines; the last one counts those left out.

    The last columns are left out where they do not fit.
    """
    last_first = range(len(rows[0]) - 1, 0, -1)
    fitting = fitting_columns(_column_widths(rows), last_first, width + len(BETWEEN))
    head, *body = ([row[column] for column in fitting] for row in rows)
    table = Table(box=None, padding=(0, len(BETWEEN), 0, 0), header_style="dim", pad_edge=False)
    for column, heading in enumerate(head):
        justify: Literal["left", "right"] = "right" if column else "left"
        table.add_column(heading, justify=justify, no_wrap=True, overflow="ellipsis")
    shown = body if len(body) < lines else body[: max(0, lines - 2)]
    for row in shown:
        table.add_row(*map(_line, row))
    if (more := len(body) - len(shown)) and lines > 1:
        table.add_row(_line(f"... and {more} more"))
    return table


def _best_graph(progress: SearchProgress, width: int, lines: int) -> list[Text]:
    """The best graph so far in at most so many lines."""
    if progress.best is None:
        return [_line("best graph so far: none, no trial is complete")][:lines]
    best = progress.best
    front = f"; {progress.front}" if progress.front else ""
    text = f"best graph so far: {best.value:.2f} %, trial {best.trial}{front}"
    title = _line(text, "bold green")
    nodes = _in_columns(list(_nodes(best.plan.graph)), width, (lines - 1) // 2)
    edges = _in_columns(progress.edges, width, lines - 1 - len(nodes))
    return [title, *map(_line, nodes), *map(_line, edges)][:lines]


def _nodes(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        yield f"{node.name} {shorthand(node.network)}{'' if node.learns else ' (frozen)'}"
    for derived in graph.derived:
        yield f"{derived.name} {derived_text(derived)}"


def _in_columns(cells: Sequence[str], width: int, limit: int) -> list[str]:
    """Cells in as many columns as fit, row by row; the last of `limit` lines may count the rest."""
    if not cells or limit < 1:
        return []
    cell_width = max(map(len, cells)) + 3
    across = max(1, (width - 2) // cell_width)
    rows = range(0, len(cells), across)
    lines = ["  " + "".join(f"{c:<{cell_width}}" for c in cells[i : i + across]) for i in rows]
    if len(lines) <= limit:
        return lines
    return [*lines[: limit - 1], f"  ... and {len(cells) - (limit - 1) * across} more"]
