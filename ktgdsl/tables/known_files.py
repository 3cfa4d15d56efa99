"""The files of a table as they were when it was last run, noted beside its results."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ktgdsl.compiler import compile_file
from ktgdsl.errors import warn
from ktgdsl.files import sealed_json, sha256, unsealed_json
from ktgdsl.tables.model import FILE, Row
from ktgdsl.tables.status import Rerun
from ktgdsl.training.run_files import reporting_write_errors, write_file


def compare_files(rerun: Rerun, rows: Iterable[Row], *, noting: bool) -> None:
    """Warn (W310) of each file of these rows that is another one than when the table was last run.

    They are the user's own, so they may have been changed, but a damaged one would also train
    something else. `noting` notes them as they are now, for the next time. Raises RunError (E502)
    where they cannot be noted.
    """
    noted, known = _noted(rerun), _files(rerun, rows)
    before = _read(noted)
    for name, digest in known.items():
        if before.get(name, digest) != digest:
            path = rerun.folder / name
            message = f"{path} is another one than when the table was last run"
            help = "if you have not changed it, it is damaged: put it back from a copy"
            warn("W310", message, help=help, path=path)
    if noting and (now := {**before, **known}) != before:
        with reporting_write_errors(noted):
            noted.parent.mkdir(parents=True, exist_ok=True)
        write_file(noted, sealed_json(now).encode())


def _noted(rerun: Rerun) -> Path:
    """The file for a table: results of several may lie in one folder."""
    place = _relative(rerun.folder.resolve(), rerun.out.resolve())
    digest = hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return rerun.out / f"table-{digest}.json"


def _read(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):  # there is none yet, or it is damaged itself
        return unsealed_json(path.read_text("utf-8"))[0]
    return {}


def _files(rerun: Rerun, rows: Iterable[Row]) -> Mapping[str, str]:
    """The digests of the table and of all specs that the rows are made from, by path in it."""
    specs = {rerun.folder / file for row in rows if (file := row.spec or row.space) is not None}
    paths = {rerun.folder / FILE}
    for spec in specs:
        paths |= {Path(name) for name in compile_file(spec, root=rerun.root).sources}
    known = {}
    for path in sorted(paths):
        with suppress(OSError):  # what is in the way of a row is told with it
            known[_relative(path, rerun.folder)] = sha256(path.read_bytes())
    return known


def _relative(path: Path, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # they are on two drives
        return str(path)
