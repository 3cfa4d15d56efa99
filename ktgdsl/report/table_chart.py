"""Bars of a table, as in the paper's Fig. 5: ours, and the published values as marks."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.extras import missing
from ktgdsl.report.table import TableReport, our_accuracy, published_accuracy
from ktgdsl.tables.comparison import Sample
from ktgdsl.tables.model import Row
from ktgdsl.tables.status import RowStatus

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#8d99a6", "#c0392b", "#2471a3", "#d68910", "#1e8449", "#7d3c98")
BAR_WIDTH, GROUP_GAP, HEIGHT, NAME_WIDTH = 0.22, 0.3, 3.6, 1.9
"""Inches: a bar, the space between groups, the picture's height, and a name in the legend."""
PUBLISHED = "published"
_UNNAMED = COLOURS.index("#2471a3")
"""The colour of bars that the axis names."""


class Bar(NamedTuple):
    """A row as a bar: the group that it belongs to, the name of its colour, and its accuracies."""

    group: str
    method: str
    ours: Sample | None
    published: Sample | None


def require_matplotlib() -> None:
    """Raises RunError (E504) when matplotlib, an extra, is not installed."""
    if find_spec("matplotlib") is None:
        raise missing("a chart", "plot")


def draw(report: TableReport, path: Path) -> None:
    """Write a chart: a panel for each data set, a group of bars for each number of nodes.

    A bar is our mean and its whisker our standard deviation, a diamond with a whisker the
    published value. Where number of nodes and method do not tell rows apart, rows are grouped by
    their labels without the method. The format is that of the file's name; the axis does not
    begin at 0.

    Raises:
        RunError: without matplotlib, or when the file cannot be written (E504).
    """
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = {data: bars(report, data) for data in dict.fromkeys(map(_data, report.statuses))}
    # The legend explains the colours of methods that the axis does not name.
    coloured = [bar for each in panels.values() for bar in each if bar.group != bar.method]
    methods = [*dict.fromkeys(bar.method for bar in coloured)]
    groups = [len({bar.group for bar in each}) for each in panels.values()]
    widths = [
        max(2.4, len(each) * BAR_WIDTH + count * GROUP_GAP)
        for each, count in zip(panels.values(), groups, strict=True)
    ]
    figure = Figure(figsize=(sum(widths) + 0.8, HEIGHT), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    for axes, (data, each) in zip(row, panels.items(), strict=True):
        _panel(axes, each, methods)
        axes.set_title(data, fontsize=10)
    row[0].set_ylabel("accuracy of the target, %")
    figure.suptitle(report.table.title, fontsize=11)
    _add_legend(figure, row, [*methods, PUBLISHED])
    with mpl.rc_context({"svg.hashsalt": "ktgdsl", "svg.fonttype": "none"}):
        try:
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            message = f"cannot write {path}: {reason}"
            raise RunError([Diagnostic("E504", message, path=str(path))]) from None


def _add_legend(figure: "Figure", row: Sequence["Axes"], names: Sequence[str]) -> None:
    marks: dict[str, Artist] = {}
    for axes in row:
        handles, labels = axes.get_legend_handles_labels()
        marks |= dict(zip(labels, handles, strict=True))
    known = [name for name in names if name in marks]
    if known:
        figure.legend(
            [marks[name] for name in known],
            known,
            loc="outside lower center",
            ncols=max(1, int(figure.get_figwidth() / NAME_WIDTH)),
            frameon=False,
        )


def bars(report: TableReport, data: str) -> list[Bar]:
    """The rows of a data set as bars."""
    rows = [each for each in report.statuses if _data(each) == data]
    keys = {(each.row.nodes, each.row.method) for each in rows}
    by_nodes = len(keys) == len(rows) and all(each.row.nodes is not None for each in rows)
    return [
        Bar(
            f"{each.row.nodes}" if by_nodes else _group(each.row),
            each.row.method or "ours",
            our_accuracy(each),
            published_accuracy(report.table, each),
        )
        for each in rows
    ]


def _group(row: Row) -> str:
    """The label, without the method where it ends in it: `10,000 images, all linear`."""
    return row.label.removesuffix(f", {row.method}")


def _data(status: RowStatus) -> str:
    """The data set that a row is trained on, as far as it is known."""
    if status.run is not None:
        return status.run.plan.data.source.name
    return status.row.data or ""


def _panel(axes: "Axes", bars: Sequence[Bar], methods: Sequence[str]) -> None:
    """One data set: its groups of bars, and the axes."""
    groups = [*dict.fromkeys(bar.group for bar in bars)]
    for number, group in enumerate(groups):
        members = [bar for bar in bars if bar.group == group]
        width = 0.8 / max(2, len(members))
        for place, bar in enumerate(members):
            x = number + (place - (len(members) - 1) / 2) * width
            colour = methods.index(bar.method) if bar.method in methods else _UNNAMED
            _draw_bar(axes, bar, x, width, COLOURS[colour % len(COLOURS)])
    samples = [sample for bar in bars for sample in (bar.ours, bar.published) if sample]
    ends = [end for sample in samples for end in _whisker(sample)]
    by_nodes = all(group.isdecimal() for group in groups)
    narrow = not by_nodes and len(groups) == len(bars)
    names = {"rotation": 40, "ha": "right"} if narrow else {"rotation": 0}
    axes.set_xticks(range(len(groups)), groups, fontsize=9, **names)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    if by_nodes:
        axes.set_xlabel("nodes")
    if ends:
        margin = max(0.2, 0.12 * (max(ends) - min(ends)))
        axes.set_ylim(max(0, min(ends) - 2 * margin), min(100, max(ends) + margin))
    axes.grid(axis="y", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bar(axes: "Axes", bar: Bar, x: float, width: float, colour: str) -> None:
    if bar.ours is not None:
        axes.bar(
            x,
            bar.ours.mean,
            width * 0.92,
            yerr=bar.ours.std,
            color=colour,
            capsize=2.5,
            error_kw={"elinewidth": 1},
            label=bar.method,
        )
    if bar.published is not None:
        axes.errorbar(
            x + 0.22 * width,  # beside our whisker
            bar.published.mean,
            yerr=bar.published.std,
            fmt="D",
            color="black",
            markerfacecolor="white",
            markersize=4.5,
            elinewidth=0.8,
            label=PUBLISHED,
        )


def _whisker(sample: Sample) -> tuple[float, float]:
    std = sample.std or 0.0
    return sample.mean - std, sample.mean + std
