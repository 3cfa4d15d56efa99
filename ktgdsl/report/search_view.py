"""What a terminal shows of a search, cut to its size."""

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ktgdsl.plan.model import Graph
from ktgdsl.report.describe import made
from ktgdsl.report.display import NARROW
from ktgdsl.report.progress import duration
from ktgdsl.report.search_progress import SearchProgress, count
from ktgdsl.vocabulary.networks import shortest

BAR = 30
"""Columns of the bar at most, and a quarter of them at least or there is none."""

Row = tuple[str, ...]


def view(progress: SearchProgress, width: int, height: int) -> RenderableType:
    """A search in a terminal of `width` columns and `height` lines, the cursor's among them."""
    above = [_title(progress), _bar(progress, width), _counts(progress)]
    if progress.warning:
        above.append(_text(f"warning: {progress.warning}", "yellow"))
    tables = [table for table in (_ladder(progress), _under_way(progress)) if len(table) > 1]
    if width < NARROW:
        tables = tables[-1:] if progress.checks else tables[:1]
    room = max(0, height - 1 - len(above) - 2)
    needed = len(_best(progress, width, room))
    middle = min(max(map(len, tables), default=0), max(room - needed, (room + 1) // 2))
    return Group(
        *above,
        Text(),
        _side_by_side(tables, middle),
        Text(),
        *_best(progress, width, room - middle),
    )


def _text(line: str, style: str = "") -> Text:
    return Text(line, style=style, no_wrap=True, overflow="ellipsis")


def _title(progress: SearchProgress) -> Text:
    title = _text("")
    title.append(progress.plan.graph.name, style="bold")
    title.append(f"  for {progress.target} on {progress.plan.data.source.name}", style="dim")
    title.append(f", {count(progress.started.workers, 'worker')}", style="dim")
    title.append(f", into {progress.started.folder}", style="dim")
    return title


def _bar(progress: SearchProgress, width: int) -> RenderableType:
    trials, done, total = f"{progress.done}/{progress.total} trials", progress.done, progress.total
    if progress.checks:
        done, total = progress.judged, progress.to_judge
        trials = f"judging {done}/{total}"
    left = "-" if progress.left is None else f"about {duration(progress.left)}"
    # As wide as it gets, so that nothing moves when a number has a digit more.
    times = f"elapsed {duration(progress.elapsed):<12} left {left}"
    room = min(BAR, width - len(trials) - len(times) - 4)
    if room < BAR // 4:
        return _text(f"{trials}  {times}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(total=total, completed=done, width=room)
    grid.add_row(_text(trials), bar, _text(times))
    return grid


def _counts(progress: SearchProgress) -> Text:
    counts = list(progress.counts)
    if progress.lost:
        counts.append(f"{count(progress.lost, 'attempt')} lost")
    return _text("   ".join(counts), "cyan")


def _ladder(progress: SearchProgress) -> list[Row]:
    rows: list[Row] = [("after epoch", "reached", "went on", "best")]
    for epoch, rung in progress.rungs.items():
        rows.append((str(epoch), str(rung.reached), str(rung.survived), _percent(rung.best)))
    return rows


def _under_way(progress: SearchProgress) -> list[Row]:
    """The trials that are trained, and once they are over what judges the result."""
    if progress.checks:
        rows: list[Row] = [("judging the result", "seeds", "")]
        for name, each in progress.checks.items():
            without = f"{each.without} without a value" if each.without else ""
            rows.append((name, f"{each.done}/{each.begun}", without))
        return rows
    rows = [("running", "epoch", "value")]
    for number, trial in progress.running.items():
        epoch = f"{trial.epoch}/{progress.started.epochs}"
        rows.append((f"trial {number}", epoch, _percent(trial.value)))
    return rows


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} %"


def _side_by_side(tables: Sequence[Sequence[Row]], room: int) -> Table:
    grid = Table.grid(padding=(0, 4, 0, 0))
    grid.add_row(*(_table(table, room) for table in tables if room))
    return grid


def _table(rows: Sequence[Row], room: int) -> Table:
    """Rows under a heading, at most `room` lines; the last one counts those left out."""
    head, *body = rows
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for place, heading in enumerate(head):
        how: Literal["left", "right"] = "right" if place else "left"
        table.add_column(heading, justify=how, no_wrap=True, overflow="ellipsis")
    shown = body if len(body) < room else body[: max(0, room - 2)]
    for row in shown:
        table.add_row(*map(_text, row))
    if (more := len(body) - len(shown)) and room > 1:
        table.add_row(_text(f"... and {more} more"))
    return table


def _best(progress: SearchProgress, width: int, room: int) -> list[Text]:
    """The best graph so far in at most `room` lines."""
    if progress.best is None:
        return [_text("best graph so far: none, no trial is complete")][:room]
    best = progress.best
    title = _text(f"best graph so far: {best.value:.2f} %, trial {best.trial}", "bold green")
    nodes = _laid_out(list(_nodes(best.plan.graph)), width, (room - 1) // 2)
    edges = _laid_out(progress.edges, width, room - 1 - len(nodes))
    return [title, *map(_text, nodes), *map(_text, edges)][:room]


def _nodes(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        yield f"{node.name} {shortest(node.network)}{'' if node.learns else ' (frozen)'}"
    for derived in graph.derived:
        yield f"{derived.name} {made(derived)}"


def _laid_out(cells: Sequence[str], width: int, room: int) -> list[str]:
    """Cells in as many columns as fit, row by row; the last of `room` lines may count the rest."""
    if not cells or room < 1:
        return []
    wide = max(map(len, cells)) + 3
    across = max(1, (width - 2) // wide)
    rows = range(0, len(cells), across)
    lines = ["  " + "".join(f"{each:<{wide}}" for each in cells[i : i + across]) for i in rows]
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], f"  ... and {len(cells) - (room - 1) * across} more"]


def cut(lines: Sequence[str], room: int) -> list[str]:
    """At most `room` lines; the last one counts those that are left out."""
    if len(lines) <= room:
        return list(lines)
    return [*lines[: room - 1], f"... and {len(lines) - room + 1} more"]
