"""The complaint about data that are missing, damaged or do not fit."""

from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError


def unusable(message: str, help: str | None = None, path: Path | None = None) -> RunError:
    """The error E508 with that message."""
    where = None if path is None else str(path)
    return RunError([Diagnostic("E508", message, help=help, path=where)])
