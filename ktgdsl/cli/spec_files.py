"""The specs that a command line names: files, and folders for all specs in them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ktgdsl.errors import SpecError


def spec_files(paths: Iterable[str]) -> dict[str, bool]:
    """Every file that is named, and whether it was found in a folder that is; in that order.

    Of a folder these are the `.ktg` files in it and in its folders, sorted. Folders of runs and
    searches are left out, whose specs are records of what was trained, and so are hidden folders.

    Raises:
        SpecError: where a folder has no such file (E001).
    """
    found: dict[str, bool] = {}
    for path in paths:
        if path == "-" or not Path(path).is_dir():
            found[path] = False
            continue
        specs = list(_specs_in(path))
        if not specs:
            raise SpecError.single("E001", f"there is no .ktg file in `{path}`", path=Path(path))
        for each in specs:
            found.setdefault(each, True)
    return found


def _specs_in(top: str) -> Iterator[str]:
    for folder, folders, files in os.walk(top):
        if folder != top and "plan.json" in files:
            folders.clear()
            continue
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (str(Path(folder, each)) for each in sorted(files) if each.endswith(".ktg"))
