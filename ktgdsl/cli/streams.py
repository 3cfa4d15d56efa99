"""Standard output and error that never raise: what cannot be written is dropped."""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NOBODY_READS = (errno.EPIPE, errno.EIO)  # EIO: of a terminal that was closed


def make_streams_lasting() -> None:
    """Let this process print whatever becomes of its output, so that a training goes on.

    After a closed pipe or on a full disk the rest is dropped, characters that the encoding lacks
    are written as escapes, and a stream that was closed from the start is the null device.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # else the next file that is opened would get what is printed
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def write_error(stream: TextIO) -> OSError | None:
    """The error by which a lasting stream failed, unless only its reader has gone."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, _Raw) else None
    return None if error is None or error.errno in _NOBODY_READS else error


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 (for good)
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.isatty() or stream is sys.stderr,
    )


class _Raw(io.FileIO):
    """The bytes of a stream. After a failed write all later ones are dropped."""

    error: OSError | None = None

    def write(self, content: "ReadableBuffer", /) -> int:
        """Write what can be written; as if all of it was, once something could not."""
        if self.error is None:
            try:
                return super().write(content)
            except OSError as error:
                self.error = error
        return memoryview(content).nbytes
