"""Logs to CSV files, `csv/seed-0.csv` in the folder of a run: a row an epoch, a column a number."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from ktgdsl.files import write_atomic
from ktgdsl.tracking.logged_run import LoggedRun, Row, State
from ktgdsl.tracking.sink import Sink, Writer

FOLDER = "csv"
_FIRST = ("epoch", "phase")


class CsvSink(Sink):
    """CSV files; needs no library."""

    def begin(self, run: LoggedRun) -> Writer:
        """Write the file anew, but for a trial that goes on."""
        path = run.folder / FOLDER / f"{run.key}.csv"
        path.parent.mkdir(exist_ok=True)
        kept = [] if run.rebuilt else _rows(path, run.epoch)
        return _CsvWriter(path, kept, named=bool(run.phases))


class _CsvWriter(Writer):
    """Rewrites the file where an epoch has numbers that none before had, as in a new phase."""

    def __init__(self, path: Path, rows: list[dict[str, str]], named: bool) -> None:
        self._path, self._rows = path, rows
        self._columns = list(dict.fromkeys(name for row in rows for name in row))
        self._columns = self._columns or [*_FIRST[: 1 + named]]
        self.epoch = int(rows[-1]["epoch"]) if rows else 0
        self._write()

    def log(self, row: Row) -> None:
        cells = {name: f"{value:.10g}" for name, value in row.values.items()}
        phase = {} if row.phase is None else {"phase": row.phase}
        self._rows.append({"epoch": str(row.epoch), **phase, **cells})
        new = [name for name in cells if name not in self._columns]
        self._columns += new
        if new:
            self._write()
        else:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                file.write(self._text(self._rows[-1:]))

    def end(self, state: State, summary: Mapping[str, float], notes: Mapping[str, str]) -> None:
        """Nothing: the results are in the folder as files already."""

    def _write(self) -> None:
        header = {name: name for name in self._columns}
        write_atomic(self._path, self._text([header, *self._rows]).encode())

    def _text(self, rows: list[dict[str, str]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, restval="", lineterminator="\n").writerows(rows)
        return text.getvalue()


def _rows(path: Path, epoch: int) -> list[dict[str, str]]:
    """The rows of a file up to an epoch, without a last one that was only partly written."""
    if epoch == 0 or not path.exists():
        return []
    text = path.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = csv.DictReader(io.StringIO(whole, newline=""))
    return [row for row in rows if int(row["epoch"]) <= epoch]
