"""Curves of runs and searches as an object that a notebook shows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ktgdsl.report.curves.charts import charts_of
from ktgdsl.report.curves.drawing import chart_drawing, stacked
from ktgdsl.report.curves.recorded import read_runs
from ktgdsl.report.output import write_output
from ktgdsl.report.pictures.picture import drawn
from ktgdsl.report.pictures.shapes import Drawing
from ktgdsl.report.pictures.svg import svg
from ktgdsl.training.run_files import FolderPath, distinct_folders
from ktgdsl.training.run_folder import is_search_folder


@dataclass(frozen=True)
class Curves:
    """Curves by epoch, which a notebook shows as a picture."""

    drawing: Drawing

    def __repr__(self) -> str:
        return f"<Curves {self.drawing.width:.0f} x {self.drawing.height:.0f}>"

    def _repr_svg_(self) -> str:
        """The picture that a notebook shows."""
        return svg(self.drawing)

    def save(self, path: str | Path) -> None:
        """Write an `.svg` or `.png` file. Raises KtgError where that cannot be done."""
        write_output(path, drawn(self.drawing, Path(path).suffix))


def curves(*folders: FolderPath | Sequence[FolderPath], node: str | None = None) -> Curves:
    """The accuracies and losses of runs by epoch, or of the trials of a search.

    Args:
        folders: of one run, of several over one another, or of a search; finished or not. A result
            stands for its folder, and a list for what is in it.
        node: of one run this node, with its edges; of several this node of each, not the target.

    Raises:
        RunError: when a folder cannot be read, or has no epoch or no such node (E502).
        TypeError: when there is no folder.
    """
    paths = distinct_folders(path for each in folders for path in _listed(each))
    if not paths:
        raise TypeError("curves() takes the folder of a run or a search, or its result")
    if len(paths) == 1 and is_search_folder(paths[0]):
        from ktgdsl.report.curves.recorded_search import read_search  # imports Optuna
        from ktgdsl.report.curves.trials import trial_chart

        charts = [trial_chart(read_search(paths[0]))]
    else:
        charts = charts_of(read_runs(paths), node)
    return Curves(stacked([chart_drawing(chart) for chart in charts], "curves"))


def _listed(folders: FolderPath | Sequence[FolderPath]) -> Sequence[FolderPath]:
    """An outcome, which is a tuple, stands for its folder."""
    return [folders] if isinstance(folders, str | os.PathLike) else folders
