"""Writes the file that a command was asked for: a picture or a page."""

from pathlib import Path

from ktgdsl.errors import KtgError
from ktgdsl.files import write_atomic


def write_output(path: str | Path, content: bytes) -> None:
    """Write the file, whole or not at all. Raises KtgError (E001) if it cannot be written."""
    try:
        write_atomic(Path(path).resolve(), content)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise KtgError.single(
            "E001", f"`{path}` cannot be written: {reason}", path=Path(path)
        ) from None
