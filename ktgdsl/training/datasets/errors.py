"""The errors about data that are missing, damaged or do not fit the plan."""

from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
from ktgdsl.errors import RunError, warn


class UnreadableError(Exception):
    """An image that cannot be read. The message is a sentence about it.

    Its message is its only argument, so that it can be pickled from a worker process.
    """


def data_error(message: str, help: str | None = None, path: Path | None = None) -> RunError:
    """The RunError E508 with that message; without a file at fault it is about the data block."""
    where, subject = (None, Subject(block="data")) if path is None else (str(path), None)
    return RunError([Diagnostic("E508", message, help=help, path=where, subject=subject)])


def warn_of_transparency(what: str, example: str) -> None:
    """Warn (W304) of images with transparent parts; `what` says which they are."""
    warn(
        "W304",
        f"{what}, such as {example}: these are black",
        help="put them on a background of your choice if it is to be another",
    )
