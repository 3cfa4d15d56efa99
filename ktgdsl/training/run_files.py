"""Reads and writes the files of runs and searches: atomically, and failures as RunErrors (E502)."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ktgdsl.errors import RunError
from ktgdsl.files import expand_home, write_atomic

FolderPath = str | os.PathLike[str]
"""A path of a folder; a result of a run or search stands for that of its folder."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system calls a full disk, a used up quota, and a file that is too large."""

_SHOWN_PATH = 200
"""Characters of a path that are shown of one that is too long."""


def folder_error(path: Path, message: str, help: str | None = None) -> RunError:
    """The error about the folder of a run or search, or about a file in it (E502)."""
    return RunError.single("E502", message, help=help, path=path)


def named_folder(path: FolderPath) -> Path:
    """The folder of that path, which may not be there yet; `~` is the home.

    Raises RunError (E502) for a path that no folder can have, or that is not UTF-8 when it is
    written out: the files in the folder name it.
    """
    folder = expand_home(path)
    try:
        str(folder.absolute()).encode()
        with suppress(FileNotFoundError, NotADirectoryError):
            folder.stat()
    except UnicodeEncodeError:
        message = f"the path {folder.absolute()} is not UTF-8"
        raise folder_error(folder, message, "choose or rename a folder") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL character
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        message = f"there can be no folder of the path {str(folder)[:_SHOWN_PATH]}: {reason}"
        raise folder_error(Path(str(folder)[:_SHOWN_PATH]), message, "choose another") from None
    return folder


def distinct_folders(paths: Iterable[FolderPath]) -> list[Path]:
    """The folders of these paths, each once: `runs/a` and `runs/a/` are one.

    Raises RunError (E502) as `named_folder` does.
    """
    found: dict[Path, Path] = {}
    for folder in map(named_folder, paths):
        found.setdefault(folder.resolve(), folder)
    return [*found.values()]


@contextmanager
def reporting_write_errors(path: Path) -> Iterator[None]:
    """Turn a failing write, such as one on a full disk, into a RunError (E502) about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"cannot write {path}: {reason}"
        raise folder_error(path, message, _remedy(error, path)) from error


def _remedy(error: OSError, path: Path) -> str:
    """What to do about a file or folder at `path` that cannot be written."""
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {path.parent}; was it deleted or moved?"
    first = "make room or choose another place" if error.errno in FULL else "choose another place"
    return f"{first}; what was kept before is intact"


def write_file(path: Path, content: bytes) -> None:
    """Write the file; at every moment the old file or the new one is on the disk, whole.

    Raises:
        RunError: when it cannot be written (E502). The old file is left as it was.
    """
    with reporting_write_errors(path):
        write_atomic(path, content)


def read_file(path: Path) -> str:
    """The text of the file. Raises RunError (E502) when it cannot be read."""
    with reporting_read_errors(path):
        return path.read_text("utf-8")


@contextmanager
def reporting_read_errors(path: Path) -> Iterator[None]:
    """Turn a failing read, such as one of a folder, into a RunError (E502) about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise folder_error(path, f"cannot read {path}: {reason}") from error
