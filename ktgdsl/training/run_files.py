"""Writing the files of a run or search: whole or not at all, and failures as RunErrors (E502)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ktgdsl.errors import RunError
from ktgdsl.files import write_whole


def folder_error(path: Path, message: str, help: str | None = None) -> RunError:
    """The error about the folder of a run or search, or about a file in it (E502)."""
    return RunError.single("E502", message, help=help, path=path)


@contextmanager
def reporting_write_errors(path: Path) -> Iterator[None]:
    """Turn a failing write, such as one on a full disk, into a RunError (E502) about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise folder_error(
            path,
            f"cannot write {path}: {reason}",
            "make room or choose another place; what was kept before is intact",
        ) from error


def write_file(path: Path, content: bytes) -> None:
    """Write the file; at every moment the old file or the new one is on the disk, whole.

    Raises:
        RunError: when it cannot be written (E502). The old file is left as it was.
    """
    with reporting_write_errors(path):
        write_whole(path, content)


def read_file(path: Path) -> str:
    """The text of the file. Raises RunError (E502) when it cannot be read."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise folder_error(path, f"cannot read {path}: {reason}") from error
